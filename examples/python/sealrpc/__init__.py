"""A client of sealrpc, written from docs/protocol.md."""

from .client import AttestedChannel, CallError, SealedCall
from .errors import AttestationError, ChannelError, SealrpcError, TransportError
from .evidence import Claims, Policy

__all__ = [
    "AttestationError",
    "AttestedChannel",
    "CallError",
    "ChannelError",
    "Claims",
    "Policy",
    "SealedCall",
    "SealrpcError",
    "TransportError",
]
