/** Finds what the user names; what is not there is answered with what is. */
import type { AnyDesc, DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import { Misuse } from "../misuse.ts";
import type { DescriptorSource } from "./descriptor-source.ts";
import { nearest } from "./suggestion.ts";

const METHOD = /^\/?([\w.]+)[/.](\w+)$/;

/** A descriptor, and the registry that knows all around it. */
export interface Located<Desc> {
  readonly desc: Desc;
  readonly registry: Registry;
}

/**
 * The method that "pkg.Service/Method" or "pkg.Service.Method" names.
 *
 * @throws Misuse when there is none.
 */
export async function findMethod(
  source: DescriptorSource,
  name: string,
): Promise<Located<DescMethod>> {
  const [, serviceName, methodName] = METHOD.exec(name) ?? [];
  if (serviceName === undefined || methodName === undefined) {
    throw new Misuse(`${name}: expected pkg.Service/Method, list or describe`);
  }
  const found = await findService(source, serviceName);
  if (found === undefined) throw await unknownService(source, serviceName);
  const { desc: service, registry } = found;
  const desc = service.methods.find((method) => method.name === methodName);
  if (desc !== undefined) return { desc, registry };
  const names = service.methods.map((method) => method.name);
  throw unknown(`${serviceName} has no method ${methodName}`, methodName, names);
}

/** The service of that name, if there is one. */
export async function findService(
  source: DescriptorSource,
  name: string,
): Promise<Located<DescService> | undefined> {
  const registry = await source.registryFor(name);
  const desc = registry?.getService(name);
  return registry === undefined || desc === undefined ? undefined : { desc, registry };
}

/**
 * The service, method, message or enum of that name.
 *
 * @throws Misuse when there is none.
 */
export async function findSymbol(
  source: DescriptorSource,
  name: string,
): Promise<Located<AnyDesc>> {
  const registry = await source.registryFor(name);
  const desc = registry?.get(name);
  if (registry !== undefined && desc !== undefined) return { desc, registry };
  const [, serviceName = ""] = METHOD.exec(name) ?? [];
  if (serviceName !== "" && (await findService(source, serviceName)) !== undefined) {
    return findMethod(source, name);
  }
  throw await unknownService(source, name);
}

/** The error for a service that is not there. */
export async function unknownService(source: DescriptorSource, name: string): Promise<Misuse> {
  return unknown(`there is no ${name}`, name, await source.services());
}

function unknown(what: string, name: string, known: readonly string[]): Misuse {
  const guess = nearest(name, known);
  const hint = guess === undefined ? "." : `; did you mean ${guess}?`;
  return new Misuse(
    `${what}${hint} There is: ${known.length === 0 ? "nothing" : known.join(", ")}`,
  );
}
