"""An AWS login that has expired is said to have, with the command that renews it."""

import pytest
from botocore.exceptions import BotoCoreError, SSOTokenLoadError, TokenRetrievalError, UnauthorizedSSOTokenError

from embedder.errors import ConfigurationError
from embedder.storage.s3_errors import s3_errors_at


@pytest.mark.parametrize(
    "error",
    [
        TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        UnauthorizedSSOTokenError(),
        SSOTokenLoadError(error_msg="Token for mine does not exist"),
    ],
)
def test_the_login_is_advised_when_its_token_has_expired(error: BotoCoreError) -> None:
    with (
        pytest.raises(ConfigurationError, match="s3://bucket/out: the AWS login has expired: `aws sso login`"),
        s3_errors_at("s3://bucket/out"),
    ):
        raise error
