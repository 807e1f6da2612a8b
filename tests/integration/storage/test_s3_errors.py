"""What S3's refusals become: a setting is blamed, and no secret repeated."""

from pathlib import Path

import pytest

from embedder.errors import ConfigurationError
from embedder.storage import Storage, open_storage
from tests.faults import FaultyProxy, Refusal
from tests.s3_server import READER, aws_environment

pytestmark = pytest.mark.usefixtures("_no_waiting")


class TestConfiguration:
    @pytest.mark.parametrize(
        ("settings", "advice"),
        [
            (aws_environment("", READER), "access denied"),
            (aws_environment("", ("testkey", "wrongsecret")), "AWS_SECRET_ACCESS_KEY"),
            (aws_environment("", ("wrongkey", "wrongsecret")), "AWS_ACCESS_KEY_ID"),
            (aws_environment("", ("testkey\n", "wrongsecret")), "newline"),
        ],
        ids=["reader", "secret", "key", "newline"],
    )
    def test_credentials_are_blamed_when_they_do_not_serve(
        self, bucket: str, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], advice: str
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, settings[name])
        storage = open_storage(f"s3://{bucket}")
        for use in (lambda: storage.put("k", b"data"), storage.check_writable):
            with pytest.raises(ConfigurationError, match=advice) as refused:
                use()
            assert "wrongsecret" not in str(refused.value)
            assert "Signature=" not in str(refused.value)
            assert "\n" not in str(refused.value)

    def test_credentials_are_asked_for_when_there_are_none(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(ConfigurationError, match="no AWS credentials"):
            open_storage(f"s3://{bucket}").get("k")

    @pytest.mark.parametrize("name", ["no-such-bucket", "Not_A_Bucket!"])
    def test_bucket_is_blamed_when_it_does_not_exist(self, bucket: str, name: str, tmp_path: Path) -> None:
        assert bucket != name
        storage = open_storage(f"s3://{name}/out")
        for use in (lambda: storage.put("k", b""), lambda: storage.get("k"), lambda: list(storage.list()), storage.check_writable):
            with pytest.raises(ConfigurationError, match=r"(?i)bucket"):
                use()
        with pytest.raises(ConfigurationError):
            storage.local_path("k", tmp_path)

    @pytest.mark.parametrize(
        ("refusal", "advice"),
        [
            (Refusal(400, "AuthorizationHeaderMalformed"), "AWS_REGION"),
            (Refusal(301, "PermanentRedirect"), "AWS_REGION"),
            (Refusal(403, "RequestTimeTooSkewed"), "clock"),
            (Refusal(400, "Unheard"), "Unheard: injected"),
        ],
    )
    def test_advice_is_given_when_s3_refuses(self, faulty: Storage, proxy: FaultyProxy, refusal: Refusal, advice: str) -> None:
        proxy.inject(refusal, method="PUT", times=100)
        with pytest.raises(ConfigurationError, match=advice) as refused:
            faulty.put("k", b"data")
        assert type(refused.value) is ConfigurationError

    def test_access_is_blamed_when_a_download_is_refused(self, faulty: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
        proxy.inject(Refusal(403, "AccessDenied"), method="GET", times=100)
        with pytest.raises(ConfigurationError, match="access denied"):
            faulty.local_path("k", tmp_path)

    @pytest.mark.parametrize(("name", "value"), [("AWS_ENDPOINT_URL_S3", "hunter2@localhost"), ("AWS_REGION", "not a region")])
    def test_setting_is_blamed_when_it_is_malformed(self, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=name) as refused:
            open_storage(f"s3://{bucket}").get("k")
        assert "hunter2" not in str(refused.value)

    def test_nothing_is_written_when_writability_is_checked(self, storage: Storage) -> None:
        storage.check_writable()
        assert list(storage.list()) == []

    def test_server_is_refused_when_it_ignores_conditions(self, faulty: Storage, proxy: FaultyProxy) -> None:
        proxy.inject(Refusal(200), method="PUT")
        with pytest.raises(ConfigurationError, match="ignores If-Match"):
            faulty.check_writable()
