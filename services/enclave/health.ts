/**
 * The standard health service of gRPC, inside the seal: what clients learn of each service of this
 * enclave. (The proxy has one of its own, which tells only that the way is up.)
 */
import { status as Code } from "@grpc/grpc-js";
import type { sendUnaryData } from "@grpc/grpc-js";

import type { Health as HealthDescriptor } from "#gen/grpc/health/v1/health_pb.js";
import { HealthCheckResponse_ServingStatus as Serving } from "#gen/grpc/health/v1/health_pb.js";
import type { Handlers } from "./handlers.ts";

/** What may be said of a service. */
export type ServingStatus = "SERVING" | "NOT_SERVING" | "UNKNOWN";

/** The name that stands for the whole server. */
const WHOLE_SERVER = "";

interface Watch {
  readonly service: string;
  /** Tells the status that is current, unless it was told last. */
  update(): void;
  end(): void;
}

export class Health {
  readonly #statuses = new Map<string, ServingStatus>([[WHOLE_SERVER, "SERVING"]]);
  readonly #watches = new Set<Watch>();
  #shutDown = false;

  /** Sets what is said of a service, by its full name; "" is the whole server. */
  setStatus(service: string, status: ServingStatus): void {
    if (this.#shutDown) return;
    this.#statuses.set(service, status);
    for (const watch of this.#watches) if (watch.service === service) watch.update();
  }

  /** NOT_SERVING for everything, for good; then watches end, which would hold sessions open. */
  shutDown(): void {
    for (const service of this.#statuses.keys()) this.setStatus(service, "NOT_SERVING");
    this.#shutDown = true;
    for (const watch of this.#watches) watch.end();
  }

  readonly handlers: Handlers<typeof HealthDescriptor> = {
    check: (call, callback: sendUnaryData<{ status: Serving }>) => {
      const status = this.#statuses.get(call.request.service);
      if (status === undefined) {
        callback({ code: Code.NOT_FOUND, details: "the service is not known here" });
        return;
      }
      callback(null, { status: Serving[status] });
    },
    watch: (call) => {
      const { service } = call.request;
      let told: Serving | undefined;
      const watch: Watch = {
        service,
        update: () => {
          const name = this.#statuses.get(service);
          const status = name === undefined ? Serving.SERVICE_UNKNOWN : Serving[name];
          // A client that does not read is told the newest status when it does.
          if (status === told || call.writableNeedDrain) return;
          told = status;
          call.write({ status });
        },
        end: () => {
          call.emit("error", { code: Code.UNAVAILABLE, details: "the enclave is shutting down" });
        },
      };
      this.#watches.add(watch);
      call.on("drain", () => watch.update());
      call.on("cancelled", () => this.#watches.delete(watch));
      watch.update();
      if (this.#shutDown) watch.end();
    },
  };
}
