"""What S3's errors mean for a run: each becomes one line with advice, and an exit code. No secret is repeated."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - boto3's own, which is no OSError
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from embedder.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConnectionSettingsError,
    CredentialsError,
    EmbedderError,
    NoS3Error,
    NotFoundError,
    TemporaryError,
)
from embedder.storage import network, retries

NOT_FOUND = {"NoSuchKey", "404"}
"""404 is all that a HEAD can say."""
REFUSED_FOR_NOW = {
    "BadDigest",
    "ConditionalRequestConflict",
    "OperationAborted",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
"""Answers to a put: another one is under way, or this one arrived damaged."""
PASSING_CODES = REFUSED_FOR_NOW | {
    "ExpiredToken",
    "ExpiredTokenException",
    "IDPCommunicationError",
    "InternalError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
}
THROTTLED = {
    "BandwidthLimitExceeded",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
"""AWS's answers, of S3 and of STS, to who asks too often."""
TOKEN_FILES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
"""Variables that name the file of a pod's token, which is mounted where credentials were injected."""
PASSING_STATUSES = retries.PASSING_STATUSES | {409, 412}
"""409 and 412: another process is writing the object."""
PASSING_ERRORS = (
    ConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)
ACCESS = (
    "access denied: allow whom `aws sts get-caller-identity` names s3:GetObject, s3:PutObject, s3:ListBucket, as docs/eks/worker.json does "
    "(without the last, a missing object is denied too)"
)
KEYS = (
    "the credentials are not valid here: renew them (`aws sso login`), or check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN"
)
REGION = "the bucket is in another region: set AWS_REGION to its own, which `aws s3api get-bucket-location --bucket NAME` says"
ROLE = "the role could not be assumed: check the service account's annotation and the role's trust policy"
BUCKET = "there is no such bucket: check the name, or create it: `aws s3 mb s3://NAME`"
ADVICE = {
    "403": ACCESS,
    "407": network.PROXY_LOGIN,
    "AccessDenied": ACCESS,
    "AllAccessDisabled": ACCESS,
    "InvalidAccessKeyId": KEYS,
    "InvalidToken": KEYS,
    "SignatureDoesNotMatch": KEYS,
    "301": REGION,
    "AuthorizationHeaderMalformed": REGION,
    "IllegalLocationConstraintException": REGION,
    "PermanentRedirect": REGION,
    "InvalidBucketName": BUCKET,
    "NoSuchBucket": BUCKET,
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
}
"""What to do, by S3's error code; a HEAD's is only its status."""
NO_CREDENTIALS = (
    "no AWS credentials: `aws configure` or `aws sso login`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (a pod: a role)"
)
LOGIN = "the AWS login has expired: `aws sso login`, with --profile where AWS_PROFILE names one"
STRAY_CHARACTER = "the AWS credentials or settings hold a character that cannot be sent, such as a newline at the end: set them again"


@contextmanager
def s3_errors_at(place: str) -> Iterator[None]:
    """Raise the project's errors in place of boto3's."""
    try:
        yield
    except (NoS3Error, ConnectionSettingsError) as error:
        raise type(error)(f"{place}: {error}") from error
    except ClientError as error:
        raise _client_error(error, place) from error
    except (ResponseParserError, HTTPError) as error:  # damaged, or broken in a way that boto3 does not know
        raise TemporaryError(f"{place}: a reply arrived damaged ({type(error).__name__}): check the network, or try again later") from error
    except BotoCoreError as error:
        if "Invalid header value" in str(error):
            raise ConfigurationError(f"{place}: {STRAY_CHARACTER}") from None  # its text shows the value
        raise _boto_error(error, place) from error
    except UnicodeEncodeError:  # of what was asked for
        raise
    except (KeyError, ValueError) as error:  # of what boto3 reads, whose text may hold a secret
        advice = "check AWS_ENDPOINT_URL_S3 and the other AWS settings, and proxies"
        raise NoS3Error(f"{place}: what S3 would not answer, or a setting that can't be ({type(error).__name__}): {advice}") from error
    except OSError as error:
        named = [name for name in TOKEN_FILES if error.filename and error.filename == os.environ.get(name)]
        if not named:
            raise
        raise CredentialsError(f"{place}: no credentials: {error.filename}, which {named[0]} names: {error.strerror}") from error


def code_of(error: ClientError) -> str:
    """S3's own name for the error; for a HEAD only the status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _client_error(error: ClientError, place: str) -> EmbedderError:
    """From an answer of the server."""
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = _one_line(f"{code}: {error.response.get('Error', {}).get('Message', '')}")
    if code in NOT_FOUND:
        return NotFoundError(f"{place} does not exist: check the path")
    if error.operation_name.startswith("AssumeRole") and code in THROTTLED:
        return TemporaryError(f"{place}: no credentials, as STS still answers {said}: run again, with fewer at a time")
    if code in PASSING_CODES | THROTTLED or status in PASSING_STATUSES:
        return TemporaryError(f"{place}: S3 still answers {said}: try again later")
    if error.operation_name.startswith("AssumeRole"):
        return CredentialsError(f"{place}: {ROLE} ({said})")
    advice = ADVICE.get(code, "S3 refuses the request")
    return (AccessDeniedError if advice == ACCESS else ConfigurationError)(f"{place}: {advice} ({said})")


def _boto_error(error: BotoCoreError, place: str) -> EmbedderError:
    """From boto3 itself: no answer, or nothing to ask with."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return CredentialsError(f"{place}: {NO_CREDENTIALS}")
    said = _one_line(str(error))
    if isinstance(error, SSOError | TokenRetrievalError):
        return ConfigurationError(f"{place}: {LOGIN} ({said})")
    if refusal := network.refusal(error, place):
        return refusal
    if network.is_trickle(error):
        said = str(network.TrickleError())
    if isinstance(error, PASSING_ERRORS):
        return TemporaryError(f"{place}: {said}: check the network and the endpoint, or try again later")
    return ConfigurationError(f"{place}: {said}")


def _one_line(text: str) -> str:
    """The text without line breaks, and without what an address holds before its @."""
    return re.sub(r"//[^/\s@]*@", "//", " ".join(text.split()))
