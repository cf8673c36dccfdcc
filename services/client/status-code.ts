/** gRPC status codes from numbers that others chose. */
import { status as Code } from "@grpc/grpc-js";

const HIGHEST_CODE = 16;

/** The code that a number stands for; what gRPC does not know reads as UNKNOWN. */
export function statusCode(number: unknown): Code {
  return isCode(number) ? number : Code.UNKNOWN;
}

function isCode(value: unknown): value is Code {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= HIGHEST_CODE;
}
