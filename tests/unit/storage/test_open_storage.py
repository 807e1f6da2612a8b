"""What a URL means."""

from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader

from embedder.errors import UsageError
from embedder.storage import open_storage
from tests.storage_process import python


class TestUrl:
    @pytest.mark.parametrize("url", ["{}/out", "file://{}/out", "file://localhost{}/out", "FILE://{}/out"])
    def test_folder_is_opened_when_the_url_names_one(self, tmp_path: Path, url: str) -> None:
        assert open_storage(url.format(tmp_path)).url == str(tmp_path / "out")

    def test_space_is_understood_when_a_file_url_escapes_it(self) -> None:
        assert open_storage("file:///tmp/my%20output").url == "/tmp/my output"  # noqa: S108 - never written

    def test_path_is_absolute_when_the_folder_is_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert open_storage("./output").url == str(tmp_path / "output")

    def test_colon_is_part_of_the_name_when_it_starts_no_address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert open_storage("run:2").url == str(tmp_path / "run:2")

    @pytest.mark.parametrize(
        ("url", "root"),
        [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("S3://bucket", "s3://bucket"),
        ],
    )
    def test_root_has_no_slash_at_the_end_when_s3_is_opened(self, monkeypatch: pytest.MonkeyPatch, url: str, root: str) -> None:
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        assert open_storage(url).url == root

    def test_boto_s_own_files_are_read_once_when_s3_is_opened_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        open_storage("s3://bucket")
        monkeypatch.delattr(JSONFileLoader, "load_file")
        assert open_storage("s3://other").url == "s3://other"

    @pytest.mark.parametrize(
        "url", ["", " ", "s3://", "s3:///prefix", "s3:bucket", "s3://bucket/a/../b", "s3://bucket/a//b", "file://host/x", "file:x"]
    )
    def test_usage_is_refused_when_the_url_names_no_place(self, url: str) -> None:
        with pytest.raises(UsageError):
            open_storage(url)

    @pytest.mark.parametrize("url", ["gs://bucket", "https://user:hunter2@host/x", "s3://user:hunter2@bucket/x"])
    def test_secret_is_not_repeated_when_the_scheme_is_refused(self, url: str) -> None:
        with pytest.raises(UsageError) as refused:
            open_storage(url)
        assert "hunter2" not in str(refused.value)

    def test_boto3_stays_unloaded_when_a_folder_is_used(self, tmp_path: Path) -> None:
        code = "open_storage(sys.argv[1]).put('k', b'x'); sys.exit('boto3' in sys.modules)"
        assert python(code, tmp_path).wait() == 0
