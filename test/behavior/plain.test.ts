import { startPlain } from "./plain-harness.ts";
import { behaviorSuite } from "./suite.ts";

behaviorSuite("gRPC behaviour of a plain grpc-js channel", startPlain);
