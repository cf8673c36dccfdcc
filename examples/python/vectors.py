"""Checks this client against the vectors of the protocol (docs/protocol.md §17).

    python vectors.py ../../test/vectors [NAME …]

Only those named, or all that a client can pass. `evidence` is not among them: nobody but AWS can
sign such vectors, so the tests of this repository make some under a root of their own.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from grpc import StatusCode

from sealrpc import AttestationError, ChannelError, Policy, SealrpcError, keys
from sealrpc.call import Call
from sealrpc.evidence import verify
from sealrpc.frames import HEADER, FrameType
from sealrpc.handshake import ClientHandshake, Established
from sealrpc.messages import (
    RECORD,
    EnclaveParams,
    RequestHeader,
    ServerFinished,
    unwrap,
    wrap,
)
from sealrpc.records import Opener, RecordType, Sealer, padded_length
from sealrpc.session import Session

Case = dict[str, Any]
CHECKS: dict[str, Callable[[Case], None]] = {}


def checks(*files: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Marks a function that checks every case of these files. It raises a case's own code."""

    def mark(check: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS.update(dict.fromkeys(files, check))
        return check

    return mark


def hexed(value: str) -> bytes:
    return bytes.fromhex(value)


def private_key(value: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(hexed(value))


def same(name: str, got: object, expected: object) -> None:
    shown = got.hex() if isinstance(got, bytes) else got
    if shown != expected:
        raise AssertionError(f"{name} is {shown}, not {expected}")


@checks("hpke", "rfc9180-x25519-export-only")
def hpke(case: Case) -> None:
    try:
        if "pkR" not in case:
            keys.decapsulate(private_key(case["skR"]), hexed(case["enc"]))
            return
        key = private_key(case["skE"]) if "skE" in case else X25519PrivateKey.generate()
        enc, shared_secret = keys.encapsulate(key, hexed(case["pkR"]))
    except ValueError as error:
        raise SealrpcError("malformed-handshake", "the KEM refuses the key") from error
    same("enc", enc, case["enc"])
    same("shared_secret", shared_secret, case["sharedSecret"])
    same("of the enclave", keys.decapsulate(private_key(case["skR"]), enc), case["sharedSecret"])
    exporter = keys.Exporter(shared_secret, hexed(case["info"]))
    for export in case["exports"]:
        exported = exporter.export(hexed(export["exporterContext"]), export.get("length", 32))
        same("exported", exported, export["exported"])


@checks("key-schedule")
def key_schedule(case: Case) -> None:
    """Every value of it that is not inside the handshake; that one is checked as a whole."""
    params, evidence = hexed(case["enclaveParams"]), hexed(case["evidence"])
    session_id, client_hello = hexed(case["sessionId"]), hexed(case["clientHello"])
    suite = keys.u16(case["suite"])
    same("leaf", keys.leaf(client_hello), case["leaf"])
    parts = client_hello, params, keys.u32(case["format"]), evidence, session_id
    th1 = keys.labeled_hash("sealrpc1 th1", *parts)
    same("th1", th1, case["th1"])
    info = b"sealrpc1 hpke" + suite + th1
    same("hpke_info", info, case["hpkeInfo"])
    enc, shared_secret = keys.encapsulate(private_key(case["skE"]), hexed(case["pkR"]))
    same("enc", enc, case["enc"])
    same("shared_secret", shared_secret, case["sharedSecret"])
    export = keys.Exporter(shared_secret, info).export
    th2 = keys.labeled_hash("sealrpc1 th2", th1, suite, enc)
    same("th2", th2, case["th2"])
    th3 = keys.labeled_hash("sealrpc1 th3", th2, hexed(case["sealedC"]))
    same("th3", th3, case["th3"])
    th4 = keys.labeled_hash("sealrpc1 th4", th3, hexed(case["sealedS"]))
    same("th4", th4, case["th4"])
    finished = (
        ("hsC", b"sealrpc1 hs c2s", th2, "clientFinished", "sealedC"),
        ("hsS", b"sealrpc1 hs s2c", th3, "serverFinished", "sealedS"),
    )
    for name, label, aad, plaintext, sealed in finished:
        key_and_iv = export(label + th2, 44)
        same(name, key_and_iv, case[name])
        key = keys.Key.of(case["suite"], key_and_iv)
        same(sealed, key.aead.encrypt(key.iv, hexed(case[plaintext]), aad), case[sealed])
    for name, label in (("c2s", b"sealrpc1 ts c2s"), ("s2c", b"sealrpc1 ts s2c")):
        secret = export(label + th4, 32)
        for step in case[name]:
            same("ts", secret, step["trafficSecret"])
            same("key and iv", keys.traffic_key(secret), step["trafficKey"])
            secret = keys.next_secret(secret)
    exporter, application = export(b"sealrpc1 exporter" + th4, 32), case["application"]
    same("exporter", exporter, case["exporter"])
    label, context = hexed(application["label"]), hexed(application["context"])
    derived = keys.application_key(exporter, label, context, application["length"])
    same("application key", derived, application["key"])


@checks("merkle")
def merkle(case: Case) -> None:
    for index, (hello, leaf, path) in enumerate(
        zip(case["hellos"], case["leaves"], case["paths"], strict=True)
    ):
        same("leaf", keys.leaf(hexed(hello)), leaf)
        same("root", keys.root(hexed(leaf), [hexed(node) for node in path], index), case["root"])


@dataclasses.dataclass(frozen=True)
class StandIn:
    """Evidence of the vectors: LP(nonce) ‖ LP(user_data) ‖ LP(public_key), not signed."""

    user_data: bytes
    public_key: bytes

    @staticmethod
    def verify(evidence: bytes, challenge: bytes) -> StandIn:
        parts = []
        while evidence:
            end = 4 + int.from_bytes(evidence[:4], "big")
            parts.append(evidence[4:end])
            evidence = evidence[end:]
        nonce, user_data, public_key = parts
        if nonce != challenge:
            raise AttestationError("challenge-mismatch", "made for another challenge")
        return StandIn(user_data, public_key)

    @staticmethod
    def attest(user_data: bytes, nonce: bytes) -> bytes:
        return keys.lp(nonce) + keys.lp(user_data) + keys.lp(b"")


@checks("handshake-client")
def handshake_client(case: Case) -> None:
    client = case["client"]
    handshake = ClientHandshake(
        StandIn.verify,
        suites=client["suites"],
        versions=client["versions"],
        initial_credit=client["initialCredit"],
        attest=StandIn.attest if client["attester"] else None,
        random=hexed(client["random"]),
        private_key=private_key(client["skE"]),
    )
    same("hello", handshake.hello(), case["hello"])
    finish = handshake.finish(hexed(case["helloReply"]))
    same("finish", finish, case.get("finish"))
    established = handshake.complete(hexed(case["finishReply"]))
    expected = case["established"]
    same("suite", established.suite, expected["suite"])
    same("ts_c[0]", established.send_secret, expected["sendSecret"])
    same("ts_s[0]", established.receive_secret, expected["receiveSecret"])
    same("exporter", established.exporter, expected["exporterSecret"])


@checks("outer-messages")
def outer_messages(case: Case) -> None:
    message = hexed(case["message"])
    kind, record = unwrap(message)
    same("kind", kind, RECORD)
    same("record", record, case["record"])
    same("message", wrap(RECORD, record), case["message"])
    same("gRPC's message", b"\0" + keys.u32(len(message)) + message, case["grpcMessage"])


@checks("padding")
def padding(case: Case) -> None:
    kind = case["padding"]
    if isinstance(kind, dict):
        kind = kind["bucket"]
    for length, padded in case["padded"].items():
        same(f"length {length}", padded_length(kind, int(length)), padded)


@checks("records")
def records(case: Case) -> None:
    suite, secret = case["suite"], hexed(case["secret"])
    opener, sealer = Opener(suite, secret, 0), Sealer(suite, secret, 0)
    if "counter" in case:
        sealer.counter = opener.counter = case["counter"]
        plaintext = hexed(case["plaintext"])
        kind, frames = opener.open(hexed(case["record"]), 0)
        same("plaintext", frames + bytes([kind]), plaintext.hex())
        same("record", sealer.seal(kind, frames, 0, "none"), case["record"])
        return
    for step in case["records"]:
        record = hexed(step["record"]) if "record" in step else bytes(step["recordZeros"])
        kind, content = opener.open(record, step.get("nowMs", 0) / 1000)
        if "type" in step:
            same("type", kind, RecordType[step["type"].replace("-", "_").upper()])
            same("content", content, step["content"])
            same("record", sealer.seal(kind, content, 0, "none"), step["record"])


def session_of(
    case: Case, credit: int = 262_144, clock: Callable[[], float] = lambda: 0
) -> Session:
    """A session of which the vectors give the traffic secrets."""
    established = Established(
        suite=case.get("suite", 1),
        send_secret=hexed(case.get("clientSecret", "01" * 32)),
        receive_secret=hexed(case.get("enclaveSecret", "02" * 32)),
        exporter=b"",
        terms=ServerFinished(3_600_000, 600_000, 1024, 30_000, credit),
        initial_credit=credit,
        claims=StandIn(b"", b""),
        params=EnclaveParams(),
    )
    return Session(established, clock, "none")


@checks("frame-rules")
def frame_rules(case: Case) -> None:
    """The session has one call, OPEN sealed. The frames come in one record, then one by one."""
    for frames in ([*map(hexed, case["frames"])], [b"".join(map(hexed, case["frames"]))]):
        session = session_of(case, case["credit"])
        sealer, opener = Sealer(1, b"\2" * 32, 0), Opener(1, b"\1" * 32, 0)
        session.begin(Call("/test.Service/Method"))
        opener.open(session.next_record() or b"", 0)
        for frame in frames:
            session.receive(sealer.seal(RecordType.FRAMES, frame, 0))
        kind, content = opener.open(session.next_record() or b"", 0)
        same("record", kind, RecordType.ALERT)
        same("alert", int.from_bytes(content, "big"), case["alert"])
        same("session", session.is_over, True)
    assert session.error
    raise session.error


@checks("call-ends")
def call_ends(case: Case) -> None:
    now = 0.0
    session = session_of(case, clock=lambda: now)
    sealer = Sealer(1, b"\2" * 32, 0)
    deadline = case["deadlineMs"] / 1000 if "deadlineMs" in case else None
    call = Call("/test.Service/Method", deadline=deadline)
    session.begin(call)
    if case["sealed"]:
        session.next_record()
    for step in case["steps"]:
        if "clockMs" in step:
            now = step["clockMs"] / 1000
            session.tick()
        elif step.get("application") == "cancels":
            session.cancel(call, StatusCode.CANCELLED, "")
        elif "application" in step:
            session.fail(ChannelError("session-expired", "the policy changed", 5))
        elif "stream" in step:
            session.truncate()
        elif "garbage" in step:
            session.receive(hexed(step["garbage"]))
        else:
            kind = RecordType[step.get("record", "frames").upper()]
            content = step.get("frames", step.get("content", ""))
            session.receive(sealer.seal(kind, hexed(content), now))
    assert call.ending
    same("status", call.ending.status.value[0], case["status"])
    same("outcome", call.ending.outcome, case["outcome"])
    if call.ending.code:
        raise SealrpcError(call.ending.code, call.ending.details)


@checks("call-records")
def call_records(case: Case) -> None:
    """The application does what the client's frames tell; what comes back is compared."""
    session = session_of(case)
    opener = Opener(case["suite"], hexed(case["enclaveSecret"]), 0)
    call = Call("")
    for step in case["records"]:
        if step["from"] == "enclave":
            kind, content = opener.open(hexed(step["record"]), 0)
            same("frames", content, step["frames"])
            session.receive(hexed(step["record"]))
            while session.take(call) is not None:
                pass
            continue
        for number, body in frames_of(hexed(step["frames"])):
            if number == FrameType.OPEN:
                header = RequestHeader.parse(body)
                deadline = header.timeout_ms / 1000 if header.timeout_ms else None
                call = Call(header.method, header.metadata, header.authority, deadline)
                session.begin(call)
            elif number == FrameType.MESSAGE:
                call.outbox.append(body)
            elif number == FrameType.END:
                call.half_closed = True
        if step["type"] == "end":
            session.close()
        same("record", session.next_record(), step["record"])
    assert call.ending and not session.error
    same("over", session.is_over, case["records"][-1]["type"] == "end")
    same("outcome", call.ending.outcome, "executed")


@checks("evidence")
def evidence(case: Case) -> None:
    policy = Policy.of(case["policy"], admit_test_root=True)
    challenge = None if case["challenge"] is None else hexed(case["challenge"])
    verify(hexed(case["evidence"]), policy, challenge, case["nowMs"] / 1000)


def frames_of(content: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while content:
        number, _, _, length = HEADER.unpack_from(content)
        end = HEADER.size + length
        frames.append((number, content[HEADER.size : end]))
        content = content[end:]
    return frames


def code_of(check: Callable[[Case], None], case: Case) -> str:
    try:
        check(case)
    except SealrpcError as error:
        return error.code
    except AssertionError as error:
        return str(error) or "an assertion"
    return "ok"


def main(folder: Path, *names: str) -> int:
    wrong = 0
    for name in names or [name for name in CHECKS if name != "evidence"]:
        check = CHECKS[name]
        file = json.loads((folder / f"{name}.json").read_text())
        cases = [case for case in file["cases"] if case.get("receiver") != "enclave"]
        for case in cases:
            code = code_of(check, {**file, **case})
            if code != case["expect"]:
                wrong += 1
                print(f"{name}: {case['name']}: {code}, expected {case['expect']}")
        print(f"{name}: {len(cases)} cases")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
