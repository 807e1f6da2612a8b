"""What another attempt mends in a pod, and a person everywhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from embedder.errors import ConfigurationError, TemporaryError


@contextmanager
def passing_in_a_pod(*kinds: type[ConfigurationError]) -> Iterator[None]:
    """In a pod, raise TemporaryError in place of these: where `plan` has just run, another pod may have what this one lacks."""
    try:
        yield
    except kinds as error:
        if "KUBERNETES_SERVICE_HOST" not in os.environ:  # set in every container by Kubernetes
            raise
        raise TemporaryError(f"{error}: another pod may have what this one lacks") from error
