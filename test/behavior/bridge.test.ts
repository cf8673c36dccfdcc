import { startThroughBridge } from "./bridge-harness.ts";
import { behaviorSuite } from "./suite.ts";

behaviorSuite("gRPC behaviour through sidecar, proxy and bridge", startThroughBridge, {
  promises: { handlers: false, waitsFor: "the client's hop" },
});
