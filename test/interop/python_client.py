"""The cases of gRPC's interoperability suite for grpcio, which publishes no client of its own.

    python_client.py --server_host HOST --server_port PORT --test_case CASE

Exits with 0 when the case passes. The modules made of the suite's .proto files are on PYTHONPATH.
"""

import argparse
import pkgutil
import time

import grpc
from google.protobuf.duration_pb2 import Duration

# The suite's package lies inside grpcio's, but in another folder.
grpc.__path__ = pkgutil.extend_path(grpc.__path__, grpc.__name__)

from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc
from xds.data.orca.v3 import orca_load_report_pb2
from xds.service.orca.v3 import orca_pb2, orca_pb2_grpc

INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
REQUEST_SIZES = (27182, 8, 1828, 45904)
RESPONSE_SIZES = (31415, 9, 2653, 58979)
TIMEOUT_S = 30
RPC_SOAK_ITERATIONS = 10
CHANNEL_SOAK_ITERATIONS = 5


def expect(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def payload(size):
    return messages_pb2.Payload(body=bytes(size))


def large_request(**fields):
    return messages_pb2.SimpleRequest(response_size=314159, payload=payload(271828), **fields)


def output_request(size, request_size=27182):
    return messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=size)],
        payload=payload(request_size),
    )


def check_large(response):
    expect(response.payload.body, bytes(314159))


class Requests:
    """Requests of a stream that are given one by one, so that an answer can come between two."""

    def __init__(self):
        self._pending = []
        self._over = False

    def __iter__(self):
        return self

    def __next__(self):
        # grpcio asks from a thread of its own.
        while not self._pending:
            if self._over:
                raise StopIteration
            time.sleep(0.001)
        return self._pending.pop(0)

    def send(self, request):
        self._pending.append(request)

    def close(self):
        self._over = True


class Failed:
    """Expects a call to fail, and gives the error."""

    def __enter__(self):
        self.error = None
        return self

    def __exit__(self, _type, error, _traceback):
        if not isinstance(error, grpc.RpcError):
            return False
        self.error = error
        return True

    def expect_status(self, code, details=None):
        if self.error is None:
            raise AssertionError(f"expected {code}, got OK")
        expect(self.error.code(), code)
        if details is not None:
            expect(self.error.details(), details)


def empty_unary(stub, _connect):
    expect(stub.EmptyCall(empty_pb2.Empty(), timeout=TIMEOUT_S), empty_pb2.Empty())


def large_unary(stub, _connect):
    check_large(stub.UnaryCall(large_request(), timeout=TIMEOUT_S))


def client_streaming(stub, _connect):
    requests = (
        messages_pb2.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES
    )
    response = stub.StreamingInputCall(requests, timeout=TIMEOUT_S)
    expect(response.aggregated_payload_size, sum(REQUEST_SIZES))


def server_streaming(stub, _connect):
    parameters = [messages_pb2.ResponseParameters(size=size) for size in RESPONSE_SIZES]
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=parameters)
    responses = stub.StreamingOutputCall(request, timeout=TIMEOUT_S)
    expect([len(response.payload.body) for response in responses], list(RESPONSE_SIZES))


def ping_pong(stub, _connect):
    requests = Requests()
    responses = stub.FullDuplexCall(requests, timeout=TIMEOUT_S)
    for request_size, response_size in zip(REQUEST_SIZES, RESPONSE_SIZES):
        requests.send(output_request(response_size, request_size))
        expect(next(responses).payload.body, bytes(response_size))
    requests.close()
    expect(list(responses), [])


def empty_stream(stub, _connect):
    expect(list(stub.FullDuplexCall(iter(()), timeout=TIMEOUT_S)), [])


def timeout_on_sleeping_server(stub, _connect):
    requests = Requests()
    requests.send(messages_pb2.StreamingOutputCallRequest(payload=payload(27182)))
    with Failed() as failed:
        list(stub.FullDuplexCall(requests, timeout=0.001))
    requests.close()
    failed.expect_status(grpc.StatusCode.DEADLINE_EXCEEDED)


def cancel_after_begin(stub, _connect):
    requests = Requests()
    call = stub.StreamingInputCall.future(requests)
    call.cancel()
    requests.close()
    expect(call.cancelled(), True)
    expect(call.code(), grpc.StatusCode.CANCELLED)


def cancel_after_first_response(stub, _connect):
    requests = Requests()
    requests.send(output_request(31415))
    call = stub.FullDuplexCall(requests, timeout=TIMEOUT_S)
    expect(next(call).payload.body, bytes(31415))
    call.cancel()
    requests.close()
    with Failed() as failed:
        next(call)
    failed.expect_status(grpc.StatusCode.CANCELLED)


def _status(stub, message, streamed):
    status = messages_pb2.EchoStatus(code=2, message=message)
    with Failed() as failed:
        stub.UnaryCall(messages_pb2.SimpleRequest(response_status=status), timeout=TIMEOUT_S)
    failed.expect_status(grpc.StatusCode.UNKNOWN, message)
    if streamed:
        request = messages_pb2.StreamingOutputCallRequest(response_status=status)
        with Failed() as failed:
            list(stub.FullDuplexCall(iter([request]), timeout=TIMEOUT_S))
        failed.expect_status(grpc.StatusCode.UNKNOWN, message)


def status_code_and_message(stub, _connect):
    _status(stub, "test status message", streamed=True)


def special_status_message(stub, _connect):
    _status(
        stub,
        "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n",
        streamed=False,
    )


def custom_metadata(stub, _connect):
    def check(call):
        expect([value for key, value in call.initial_metadata() if key == INITIAL[0]], [INITIAL[1]])
        trailers = [value for key, value in call.trailing_metadata() if key == TRAILING[0]]
        expect(trailers, [TRAILING[1]])

    metadata = (INITIAL, TRAILING)
    response, call = stub.UnaryCall.with_call(
        large_request(), metadata=metadata, timeout=TIMEOUT_S
    )
    check_large(response)
    check(call)
    call = stub.FullDuplexCall(
        iter([output_request(314159, 271828)]), metadata=metadata, timeout=TIMEOUT_S
    )
    expect([len(response.payload.body) for response in call], [314159])
    check(call)


def unimplemented_method(stub, _connect):
    with Failed() as failed:
        stub.UnimplementedCall(empty_pb2.Empty(), timeout=TIMEOUT_S)
    failed.expect_status(grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service(_stub, connect):
    with connect() as channel, Failed() as failed:
        stub = test_pb2_grpc.UnimplementedServiceStub(channel)
        stub.UnimplementedCall(empty_pb2.Empty(), timeout=TIMEOUT_S)
    failed.expect_status(grpc.StatusCode.UNIMPLEMENTED)


def rpc_soak(stub, _connect):
    for _ in range(RPC_SOAK_ITERATIONS):
        check_large(stub.UnaryCall(large_request(), timeout=TIMEOUT_S))


def channel_soak(_stub, connect):
    for _ in range(CHANNEL_SOAK_ITERATIONS):
        with connect() as channel:
            stub = test_pb2_grpc.TestServiceStub(channel)
            check_large(stub.UnaryCall(large_request(), timeout=TIMEOUT_S))


def orca_oob(stub, connect):
    requests = Requests()
    responses = stub.FullDuplexCall(requests, timeout=TIMEOUT_S)
    with connect() as channel:
        watch = orca_pb2_grpc.OpenRcaServiceStub(channel).StreamCoreMetrics(
            orca_pb2.OrcaLoadReportRequest(report_interval=Duration(nanos=100_000_000)),
            timeout=TIMEOUT_S,
        )
        for cpu, memory, utilization in ((0.8210, 0.5847, 0.30499), (0.29309, 0.2, 0.2039)):
            request = output_request(1)
            request.orca_oob_report.CopyFrom(
                messages_pb2.TestOrcaReport(
                    cpu_utilization=cpu,
                    memory_utilization=memory,
                    utilization={"util": utilization},
                )
            )
            requests.send(request)
            next(responses)
            expected = orca_load_report_pb2.OrcaLoadReport(
                cpu_utilization=cpu, mem_utilization=memory, utilization={"util": utilization}
            )
            # Fails by its deadline when the report never comes.
            while next(watch) != expected:
                pass
        watch.cancel()
    requests.close()
    expect(list(responses), [])


def server_compressed_unary(stub, _connect):
    for value in (True, False):
        compressed = messages_pb2.BoolValue(value=value)
        request = large_request(response_compressed=compressed)
        check_large(stub.UnaryCall(request, timeout=TIMEOUT_S))


def server_compressed_streaming(stub, _connect):
    parameters = [
        messages_pb2.ResponseParameters(
            size=size, compressed=messages_pb2.BoolValue(value=compressed)
        )
        for size, compressed in ((31415, True), (92653, False))
    ]
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=parameters)
    responses = stub.StreamingOutputCall(request, timeout=TIMEOUT_S)
    expect([len(response.payload.body) for response in responses], [31415, 92653])


def client_compressed_unary(stub, connect):
    request = large_request(expect_compressed=messages_pb2.BoolValue(value=True))
    with Failed() as failed:
        stub.UnaryCall(request, timeout=TIMEOUT_S)
    failed.expect_status(grpc.StatusCode.INVALID_ARGUMENT)
    client_compressed_unary_noprobe(stub, connect)


def client_compressed_unary_noprobe(stub, _connect):
    for value, compression in ((True, grpc.Compression.Gzip), (False, grpc.Compression.NoCompression)):
        request = large_request(expect_compressed=messages_pb2.BoolValue(value=value))
        check_large(stub.UnaryCall(request, compression=compression, timeout=TIMEOUT_S))


CASES = {
    case.__name__: case
    for case in (
        empty_unary,
        large_unary,
        client_streaming,
        server_streaming,
        ping_pong,
        empty_stream,
        timeout_on_sleeping_server,
        cancel_after_begin,
        cancel_after_first_response,
        status_code_and_message,
        special_status_message,
        custom_metadata,
        unimplemented_method,
        unimplemented_service,
        rpc_soak,
        channel_soak,
        orca_oob,
        server_compressed_unary,
        server_compressed_streaming,
        client_compressed_unary,
        client_compressed_unary_noprobe,
    )
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server_host", required=True)
    parser.add_argument("--server_port", required=True)
    parser.add_argument("--test_case", required=True, choices=sorted(CASES))
    arguments = parser.parse_args()
    target = f"{arguments.server_host}:{arguments.server_port}"

    def connect():
        # Channels to one target share their connections unless told otherwise.
        options = (("grpc.use_local_subchannel_pool", 1),)
        return grpc.insecure_channel(target, options=options)

    with connect() as channel:
        CASES[arguments.test_case](test_pb2_grpc.TestServiceStub(channel), connect)


if __name__ == "__main__":
    main()
