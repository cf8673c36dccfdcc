"""Cases of gRPC's interoperability suite, and some of the session's own, over the Python client.

    python interop.py TARGET POLICY

The generated package of the suite would be `grpc.testing`, inside grpcio's own; so its messages are
written out here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "python"))

from grpc import StatusCode  # noqa: E402

from sealrpc import AttestedChannel, CallError, Policy  # noqa: E402
from sealrpc.messages import Message, numbered  # noqa: E402

SERVICE = "/grpc.testing.TestService/"
INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"


@dataclass(frozen=True)
class Payload(Message):
    body: bytes = numbered(2, bytes, b"")


@dataclass(frozen=True)
class EchoStatus(Message):
    code: int = numbered(1, int, 0)
    message: str = numbered(2, str, "")


@dataclass(frozen=True)
class SimpleRequest(Message):
    response_size: int = numbered(2, int, 0)
    payload: Payload = numbered(3, Payload, Payload())
    response_status: EchoStatus = numbered(7, EchoStatus, EchoStatus())


@dataclass(frozen=True)
class Size(Message):
    size: int = numbered(1, int, 0)
    interval_us: int = numbered(2, int, 0)


@dataclass(frozen=True)
class StreamRequest(Message):
    response_parameters: tuple[Size, ...] = numbered(2, Size, ())
    payload: Payload = numbered(3, Payload, Payload())
    response_status: EchoStatus = numbered(7, EchoStatus, EchoStatus())


@dataclass(frozen=True)
class PayloadMessage(Message):
    """StreamingInputCallRequest, SimpleResponse and StreamingOutputCallResponse."""

    payload: Payload = numbered(1, Payload, Payload())


@dataclass(frozen=True)
class Aggregated(Message):
    aggregated_payload_size: int = numbered(1, int, 0)


class TestService:
    def __init__(self, channel: AttestedChannel) -> None:
        def method(kind: Callable[..., Any], name: str, answer: type[Message]) -> Any:
            return kind(SERVICE + name, Message.serialize, answer.parse)

        self.empty = method(channel.unary_unary, "EmptyCall", Message)
        self.unary = method(channel.unary_unary, "UnaryCall", PayloadMessage)
        self.unimplemented = method(channel.unary_unary, "UnimplementedCall", Message)
        self.upload = method(channel.stream_unary, "StreamingInputCall", Aggregated)
        self.download = method(channel.unary_stream, "StreamingOutputCall", PayloadMessage)
        self.duplex = method(channel.stream_stream, "FullDuplexCall", PayloadMessage)


CASES: list[Callable[[TestService, AttestedChannel], Awaitable[None]]] = []


def case(run: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    CASES.append(run)
    return run


def body(size: int) -> Payload:
    return Payload(bytes(size))


async def sizes_of(call: AsyncIterator[PayloadMessage]) -> list[int]:
    return [len(answer.payload.body) async for answer in call]


async def failure_of(call: Any) -> CallError:
    try:
        await call
    except CallError as error:
        return error
    raise AssertionError("the call ended with OK")


def expect(got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"{got}, expected {expected}")


def expect_failure(error: CallError, status: StatusCode, outcome: str, reason: str | None) -> None:
    expect((error.code(), error.outcome, error.reason), (status, outcome, reason))


@case
async def empty_unary(service: TestService, _: AttestedChannel) -> None:
    expect(await service.empty(Message()), Message())


@case
async def large_unary(service: TestService, _: AttestedChannel) -> None:
    """Both messages are larger than the credit that a call begins with."""
    answer = await service.unary(SimpleRequest(314_159, body(271_828)))
    expect(len(answer.payload.body), 314_159)
    answer = await service.unary(SimpleRequest(4_000_000, body(4_000_000)))
    expect(len(answer.payload.body), 4_000_000)


@case
async def client_streaming(service: TestService, _: AttestedChannel) -> None:
    sizes = (27_182, 8, 1828, 45_904)
    answer = await service.upload(PayloadMessage(body(size)) for size in sizes)
    expect(answer.aggregated_payload_size, 74_922)
    answer = await service.upload(PayloadMessage(body(1_000_000)) for _ in range(5))
    expect(answer.aggregated_payload_size, 5_000_000)


@case
async def server_streaming(service: TestService, _: AttestedChannel) -> None:
    sizes = [31_415, 9, 2653, 58_979]
    request = StreamRequest(tuple(map(Size, sizes)))
    expect(await sizes_of(service.download(request)), sizes)


@case
async def slow_reader(service: TestService, _: AttestedChannel) -> None:
    """Four times the credit in many small messages, read after a pause."""
    call = service.download(StreamRequest((Size(1000),) * 1000))
    await call.initial_metadata()
    await asyncio.sleep(0.1)
    expect(await sizes_of(call), [1000] * 1000)


@case
async def ping_pong(service: TestService, _: AttestedChannel) -> None:
    pairs = [(27_182, 31_415), (8, 9), (1828, 2653), (45_904, 58_979)]
    answered = asyncio.Event()

    async def requests() -> AsyncIterator[StreamRequest]:
        for sent, wanted in pairs:
            yield StreamRequest((Size(wanted),), body(sent))
            await answered.wait()
            answered.clear()

    sizes = []
    async for answer in service.duplex(requests()):
        sizes.append(len(answer.payload.body))
        answered.set()
    expect(sizes, [wanted for _, wanted in pairs])


@case
async def empty_stream(service: TestService, _: AttestedChannel) -> None:
    expect(await sizes_of(service.duplex([])), [])


@case
async def custom_metadata(service: TestService, _: AttestedChannel) -> None:
    metadata = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))
    call = service.unary(SimpleRequest(), metadata=metadata)
    await call
    expect((await call.initial_metadata())[INITIAL], "test_initial_metadata_value")
    expect((await call.trailing_metadata())[TRAILING], b"\xab\xab\xab")


@case
async def status_code_and_message(service: TestService, _: AttestedChannel) -> None:
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = SimpleRequest(response_status=EchoStatus(2, message))
    error = await failure_of(service.unary(request))
    expect_failure(error, StatusCode.UNKNOWN, "executed", None)
    expect(error.details(), message)


@case
async def unimplemented_method(service: TestService, channel: AttestedChannel) -> None:
    error = await failure_of(channel.unary_unary("/grpc.testing.Nothing/Call")(b""))
    expect_failure(error, StatusCode.UNIMPLEMENTED, "not-executed", "refused")


@case
async def cancel_after_begin(service: TestService, channel: AttestedChannel) -> None:
    async def requests() -> AsyncIterator[PayloadMessage]:
        yield PayloadMessage(body(1))
        await asyncio.sleep(60)

    call = service.upload(requests())
    await service.empty(Message())  # behind OPEN on the same session
    call.cancel()
    expect_failure(await failure_of(call), StatusCode.CANCELLED, "unknown", None)


@case
async def cancel_after_first_response(service: TestService, _: AttestedChannel) -> None:
    async def requests() -> AsyncIterator[StreamRequest]:
        yield StreamRequest((Size(31_415),))
        await asyncio.sleep(60)

    call = service.duplex(requests())
    async for answer in call:
        expect(len(answer.payload.body), 31_415)
        call.cancel()
        break
    expect(await call.code(), StatusCode.CANCELLED)


@case
async def timeout_on_sleeping_server(service: TestService, _: AttestedChannel) -> None:
    async def requests() -> AsyncIterator[StreamRequest]:
        yield StreamRequest(payload=body(27_182))
        await asyncio.sleep(60)

    error = await failure_of(sizes_of(service.duplex(requests(), timeout=0.05)))
    expect(error.code(), StatusCode.DEADLINE_EXCEEDED)


@case
async def message_beyond_the_limit(service: TestService, _: AttestedChannel) -> None:
    error = await failure_of(service.unary(SimpleRequest(5_000_000)))
    expect_failure(error, StatusCode.RESOURCE_EXHAUSTED, "unknown", None)
    expect(await service.empty(Message()), Message())


@case
async def metadata_beyond_the_limit(service: TestService, _: AttestedChannel) -> None:
    error = await failure_of(service.empty(Message(), metadata=(("key", "v" * 70_000),)))
    expect_failure(error, StatusCode.RESOURCE_EXHAUSTED, "not-executed", None)


@case
async def many_at_once(service: TestService, _: AttestedChannel) -> None:
    calls = [service.unary(SimpleRequest(size, body(size))) for size in range(0, 100_000, 500)]
    answers = await asyncio.gather(*calls)
    expect([len(answer.payload.body) for answer in answers], list(range(0, 100_000, 500)))


@case
async def next_session(service: TestService, channel: AttestedChannel) -> None:
    """When a session takes no more calls, the next call makes another; old calls finish on it."""
    first = await channel.session()
    release = asyncio.Event()

    async def requests() -> AsyncIterator[PayloadMessage]:
        yield PayloadMessage(body(1))
        await release.wait()
        yield PayloadMessage(body(2))

    held = service.upload(requests())
    await service.empty(Message())
    first.close()
    await service.empty(Message())
    if await channel.session() is first:
        raise AssertionError("the session was not replaced")
    release.set()
    expect((await held).aggregated_payload_size, 3)
    while not first.is_over:
        await asyncio.sleep(0.01)
    expect(first.error, None)


@case
async def closing_cancels(service: TestService, channel: AttestedChannel) -> None:
    async def requests() -> AsyncIterator[PayloadMessage]:
        yield PayloadMessage(body(1))
        await asyncio.sleep(60)

    held = service.upload(requests())
    await service.empty(Message())
    session = await channel.session()
    await channel.close(grace=0.05)
    expect_failure(await failure_of(held), StatusCode.CANCELLED, "unknown", None)
    expect((session.is_over, session.error), (True, None))
    error = await failure_of(service.empty(Message()))
    expect_failure(error, StatusCode.UNAVAILABLE, "not-executed", "closed")


@case
async def unreachable(service: TestService, channel: AttestedChannel) -> None:
    async with AttestedChannel("127.0.0.1:1", channel.policy) as nowhere:
        calls = [TestService(nowhere).empty(Message()) for _ in range(10)]
        for call in calls:
            error = await failure_of(call)
            expect_failure(error, StatusCode.UNAVAILABLE, "not-executed", "unreachable")


async def main(target: str, policy_file: str) -> int:
    policy = Policy.from_file(policy_file, admit_test_root=True)
    failed = 0
    async with AttestedChannel(target, policy) as channel:
        for run in CASES:
            try:
                await asyncio.wait_for(run(TestService(channel), channel), 20)
                print(f"{run.__name__}: ok")
            except Exception as error:
                failed += 1
                print(f"{run.__name__}: {error!r}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
