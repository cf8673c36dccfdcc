/**
 * A server of the interoperability suite as a process:
 * `test-service-main.js sealed ADDRESS POLICY-FILE` on EnclaveServer, or `plain ADDRESS` on grpc-js's server,
 * for what passes with nothing between.
 */
import { writeFileSync } from "node:fs";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { TestService } from "#gen/grpc/testing/test_pb.js";
import { OpenRcaService } from "#gen/xds/service/orca/v3/orca_pb.js";
import { Simulator } from "../../attestation/nsm/index.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";
import { CompressedRequests } from "./compressed-requests.ts";
import { LoadReports } from "./load-reports.ts";
import { testService } from "./test-service.ts";

const [kind, address = "", policyFile = ""] = process.argv.slice(2);
const load = new LoadReports();
const definition = serviceDefinition(TestService);

if (kind === "sealed") {
  const requests = new CompressedRequests();
  const simulator = await Simulator.create();
  const server = new EnclaveServer({ attester: simulator });
  const handlers = testService({
    load,
    cameCompressed: (request) => requests.cameCompressed(request),
  });
  server.addService(requests.watch(definition), untyped(handlers));
  server.addService(OpenRcaService, load.handlers);
  writeFileSync(policyFile, JSON.stringify(simulator.policyOptions()));
  console.log(`listening on ${await server.listen(address)}`);
} else {
  const server = new Server();
  const handlers = testService({ load, cameCompressed: () => undefined });
  server.addService(definition, untyped(handlers));
  server.addService(serviceDefinition(OpenRcaService), untyped(load.handlers));
  server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    console.log(`listening on ${port}`);
  });
}

function untyped(handlers: object): UntypedServiceImplementation {
  return handlers as UntypedServiceImplementation;
}
