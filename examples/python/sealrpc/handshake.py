"""The client's half of the handshake, docs/protocol.md §4. Numbers in comments are of §4.1."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from . import keys
from .errors import AttestationError, ChannelError
from .messages import (
    FINISH,
    HELLO,
    ClientFinished,
    ClientHello,
    EnclaveParams,
    Finish,
    FinishReply,
    Hello,
    HelloReply,
    Message,
    ServerFinished,
    unwrap,
    wrap,
)

MAX_CREDIT = 2**31 - 1
_SERVER_LABEL = b"sealrpc1 server attestation\0"
_CLIENT_LABEL = b"sealrpc1 client attestation\0"
_M = TypeVar("_M", bound=Message)


class Claims(Protocol):
    """What the handshake reads of verified evidence."""

    @property
    def user_data(self) -> bytes | None: ...
    @property
    def public_key(self) -> bytes | None: ...


Verify = Callable[[bytes, bytes], Claims]
"""Verifies evidence for a challenge, or raises AttestationError."""

Attest = Callable[[bytes, bytes], bytes]
"""Obtains evidence of this machine, with `user_data` and `nonce`: for mutual attestation (§12)."""


@dataclass(frozen=True)
class Established:
    """What a complete handshake leaves."""

    suite: int
    send_secret: bytes
    receive_secret: bytes
    exporter: bytes
    terms: ServerFinished
    initial_credit: int
    """What this client receives for each call before it grants more."""
    claims: Claims
    params: EnclaveParams


class ClientHandshake:
    """`hello`, `finish` and `complete` are called once each, in this order.

    `random` and `private_key` are given by test vectors alone: both are for one handshake only.
    """

    def __init__(
        self,
        verify: Verify,
        *,
        suites: Sequence[int] = tuple(keys.AEADS),
        versions: Sequence[int] = (1,),
        initial_credit: int = 262_144,
        attest: Attest | None = None,
        random: bytes | None = None,
        private_key: X25519PrivateKey | None = None,
    ) -> None:
        self._verify = verify
        self._suites = suites
        self._versions = versions
        self._initial_credit = initial_credit
        self._attest = attest
        self._private_key = private_key or X25519PrivateKey.generate()
        self._client_hello = ClientHello(1, random or os.urandom(32)).serialize()

    def hello(self) -> bytes:
        return wrap(HELLO, Hello(self._client_hello).serialize())

    def finish(self, message: bytes) -> bytes:
        """Verifies the enclave's answer to Hello, and encapsulates to the key that it attests."""
        reply = _body(HELLO, HelloReply, message)  # 1
        _require(
            len(reply.enclave_params) <= 4096
            and 1 <= len(reply.evidence) <= 20_000
            and len(reply.session_id) == 16
            and len(reply.path) <= 16
            and all(len(sibling) == 32 for sibling in reply.path)
            and reply.leaf_index < 1 << len(reply.path)
            and reply.format == 0,
            "HelloReply has a value that is not allowed",
        )
        challenge = keys.root(keys.leaf(self._client_hello), reply.path, reply.leaf_index)  # 2
        claims = self._verify(reply.evidence, challenge)  # 3
        params_hash = keys.labeled_hash("sealrpc1 params", reply.enclave_params)
        if claims.user_data != _SERVER_LABEL + params_hash:  # 4
            raise AttestationError("binding-mismatch", "evidence of other parameters")
        if claims.public_key is None or len(claims.public_key) != 32:  # 5
            raise AttestationError("binding-mismatch", "no X25519 key is attested")
        params = _parse(EnclaveParams, reply.enclave_params)  # 6, and from here on it is attested
        suite = self._negotiate(params)
        try:
            enc, shared_secret = keys.encapsulate(self._private_key, claims.public_key)  # 12
        except ValueError as error:
            raise _malformed("the enclave's public key cannot be used") from error
        del self._private_key

        th1 = keys.labeled_hash(
            "sealrpc1 th1",
            self._client_hello,
            reply.enclave_params,
            keys.u32(reply.format),
            reply.evidence,
            reply.session_id,
        )
        exporter = keys.Exporter(shared_secret, b"sealrpc1 hpke" + keys.u16(suite) + th1)
        th2 = keys.labeled_hash("sealrpc1 th2", th1, keys.u16(suite), enc)
        evidence = b""
        if params.client_attestation and self._attest:
            evidence = self._attest(_CLIENT_LABEL, th2)
        hs_c = keys.Key.of(suite, exporter.export(b"sealrpc1 hs c2s" + th2, 44))
        finished = ClientFinished(evidence, self._initial_credit).serialize()
        sealed = hs_c.aead.encrypt(hs_c.iv, finished, th2)
        self._suite, self._claims, self._params = suite, claims, params
        self._exporter, self._th2 = exporter, th2
        self._th3 = keys.labeled_hash("sealrpc1 th3", th2, sealed)
        return wrap(FINISH, Finish(suite, enc, sealed).serialize())

    def complete(self, message: bytes) -> Established:
        """Opens the enclave's confirmation: it holds the attested key, and saw this handshake."""
        reply = _body(FINISH, FinishReply, message)  # 20
        _require(16 <= len(reply.sealed) <= 1024, "FinishReply has a length that is not allowed")
        hs_s = keys.Key.of(self._suite, self._exporter.export(b"sealrpc1 hs s2c" + self._th2, 44))
        try:
            finished = hs_s.aead.decrypt(hs_s.iv, reply.sealed, self._th3)  # 21
        except InvalidTag as error:
            raise ChannelError("authentication-failed", "FinishReply does not open") from error
        terms = _parse(ServerFinished, finished)
        if terms.refused:  # 22, before the other values
            raise ChannelError("caller-refused", "the enclave refused this client")
        _require(
            0 not in (terms.max_age_ms, terms.max_idle_ms, terms.max_concurrent_calls)
            and terms.max_delay_ms != 0
            and 1 <= terms.initial_credit <= MAX_CREDIT,
            "ServerFinished has a value that is not allowed",
        )
        th4 = keys.labeled_hash("sealrpc1 th4", self._th3, reply.sealed)
        export = self._exporter.export
        del self._exporter
        return Established(
            self._suite,
            export(b"sealrpc1 ts c2s" + th4, 32),
            export(b"sealrpc1 ts s2c" + th4, 32),
            export(b"sealrpc1 exporter" + th4, 32),
            terms,
            self._initial_credit,
            self._claims,
            self._params,
        )

    def _negotiate(self, params: EnclaveParams) -> int:
        if 1 not in params.versions:  # 7
            raise ChannelError("unsupported-version", "the enclave does not speak version 1")
        if any(version > 1 and version in params.versions for version in self._versions):  # 8
            raise ChannelError("unsupported-version", "both sides speak a later version")
        suite = next((suite for suite in self._suites if suite in params.suites), None)
        if suite is None:  # 9
            raise ChannelError("no-common-suite", "the enclave has none of this client's suites")
        has_x_wing = 3 in params.suites or 4 in params.suites
        _require(len(params.mlkem768_ek) == (1184 if has_x_wing else 0), "mlkem768_ek")  # 10
        if params.client_attestation and not self._attest:  # 11
            raise ChannelError("caller-refused", "the enclave asks for evidence of the client")
        return suite


def _body(kind: int, cls: type[_M], message: bytes) -> _M:
    number, body = unwrap(message)
    _require(number == kind, "a message out of order")
    return _parse(cls, body)


def _parse(cls: type[_M], data: bytes) -> _M:
    try:
        return cls.parse(data)
    except ValueError as error:
        raise _malformed(f"{cls.__name__} does not parse: {error}") from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _malformed(message)


def _malformed(message: str) -> ChannelError:
    return ChannelError("malformed-handshake", message)
