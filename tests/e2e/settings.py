"""What the environment says of the cluster: it is all that the tests know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where everything is."""

    kubeconfig: str
    image: str
    argo_server: str
    s3_endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    lose_node: str | None
    """A command that takes the node away."""
    return_node: str | None
    """A command that brings it back."""
    restart_controller: str | None
    """A command that kills Argo's controller, and starts it again."""
    restart_server: str | None
    """The same of its server."""
    image_archive: str | None
    """The path of the image as `docker save` writes it."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """KeyError names a variable that is not set."""
        return cls(
            kubeconfig=environment["KUBECONFIG"],
            image=environment["E2E_IMAGE"],
            argo_server=environment["ARGO_SERVER"],
            s3_endpoint=environment["AWS_ENDPOINT_URL_S3"],
            access_key=environment["AWS_ACCESS_KEY_ID"],
            secret_key=environment["AWS_SECRET_ACCESS_KEY"],
            region=environment.get("AWS_REGION", "us-east-1"),
            lose_node=environment.get("E2E_LOSE_NODE"),
            return_node=environment.get("E2E_RETURN_NODE"),
            restart_controller=environment.get("E2E_RESTART_CONTROLLER"),
            restart_server=environment.get("E2E_RESTART_SERVER"),
            image_archive=environment.get("E2E_IMAGE_ARCHIVE"),
        )
