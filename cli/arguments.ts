/** Values of flags, checked where they are given. */
import { InvalidArgumentError } from "commander";
import { parseAddress } from "../transport/address.ts";

/** The text of an address. */
export function addressText(text: string): string {
  try {
    parseAddress(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : "");
  }
  return text;
}

/** A positive whole number. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) {
    throw new InvalidArgumentError("Expected a positive integer.");
  }
  return Number(text);
}
