/** The program in the enclave that serves the boot service: `ledger-main.js`, with nothing said. */
import { once } from "node:events";
import type { handleBidiStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { bootService } from "./boot-service.ts";
import { connectLedger } from "./ledger.ts";

const enter = await connectLedger();

const run: handleUnaryCall<Buffer, Buffer> = ({ request }, callback) => {
  void enter(request.toString()).then(() => callback(null, request));
};

const echo: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  const copy = async (): Promise<void> => {
    for await (const message of call as AsyncIterable<Buffer>) {
      if (!call.write(message)) await once(call, "drain");
    }
    call.end();
  };
  // A call that is cut off ends the copying, and nothing else.
  copy().catch(() => {});
};

const server = new EnclaveServer({ vsockPeers: [3] });
server.addService(bootService, { run, echo });
console.error(`listening on ${await server.listen("vsock:any:5000")}`);
