"""What can fail, each with the stable code and the gRPC status of docs/protocol.md §13."""

from __future__ import annotations

from grpc import StatusCode


class SealrpcError(Exception):
    """A failure with a code that does not change; the text is for people and may."""

    status = StatusCode.INTERNAL

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code


class AttestationError(SealrpcError):
    """The evidence is not what the policy admits. Never retried: find out why."""

    status = StatusCode.UNAUTHENTICATED


class TransportError(SealrpcError):
    """The outer stream could not be opened, or ended during the handshake."""

    status = StatusCode.UNAVAILABLE


class ChannelError(SealrpcError):
    """A fault in handshake, records or frames, or the end of a session."""

    def __init__(self, code: str, message: str, alert: int | None = None) -> None:
        super().__init__(code, message)
        self.alert = alert
        """What the enclave is told in an alert (§7); None if it is told nothing."""
        self.status = _STATUS.get(code, StatusCode.INTERNAL)


_STATUS = {
    "unsupported-version": StatusCode.FAILED_PRECONDITION,
    "no-common-suite": StatusCode.FAILED_PRECONDITION,
    "record-too-large": StatusCode.RESOURCE_EXHAUSTED,
    "caller-refused": StatusCode.PERMISSION_DENIED,
    "authentication-failed": StatusCode.DATA_LOSS,
    "peer-alert": StatusCode.UNAVAILABLE,
    "truncated": StatusCode.UNAVAILABLE,
    "handshake-timeout": StatusCode.UNAVAILABLE,
    "session-expired": StatusCode.UNAVAILABLE,
    "key-limit": StatusCode.UNAVAILABLE,
    "draining": StatusCode.UNAVAILABLE,
}
