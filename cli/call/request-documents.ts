/** The JSON documents that `--data` stands for. */
import { readFile } from "node:fs/promises";
import { JsonDocuments } from "./json-documents.ts";
import { Misuse } from "../misuse.ts";

/** `data`: the documents themselves, `@FILE` that holds them, `-` for standard input as it comes. */
export async function* requestDocuments(data: string | undefined): AsyncGenerator<string> {
  const documents = new JsonDocuments();
  for await (const piece of piecesOf(data)) yield* documents.push(piece);
  yield* documents.end();
}

async function* piecesOf(data: string | undefined): AsyncGenerator<string> {
  if (data === undefined) return;
  if (data !== "-" && !data.startsWith("@")) {
    yield data;
    return;
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const chunks: AsyncIterable<Uint8Array> | readonly Uint8Array[] =
    data === "-" ? process.stdin : [await readFile(data.slice(1))];
  try {
    for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Misuse("--data: expected UTF-8", { cause: error });
  }
}
