"""A client of sealrpc, written from docs/protocol.md."""

from .client import AttestedChannel
from .errors import AttestationError, ChannelError, SealrpcError, TransportError
from .evidence import Claims, Policy
from .sealed_call import CallError, SealedCall

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
