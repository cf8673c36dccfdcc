/** Callers that go on calling, whatever happens, and remember how each call ended. */
import { Client, credentials, type ServiceError, status as Code } from "@grpc/grpc-js";
import { type AttestedChannel, codeOf, outcomeOf } from "../../services/client/index.ts";
import { bootService } from "./boot-service.ts";

/** What is known of one call that is over. */
export interface Ended {
  readonly key: string;
  readonly code: Code;
  readonly errorCode: string | undefined;
  /** `executed` for a call that was answered. */
  readonly outcome: string | undefined;
  readonly details: string;
}

/** Pause of a caller whose call failed. */
const PAUSE_MS = 500;
const DEADLINE_MS = 120_000;

export class Load {
  readonly ended: Ended[] = [];
  readonly #client: Client;
  readonly #callers: Promise<void>[];
  #stopping = false;

  /** Starts `callers` callers, whose keys are `<caller>-<count>`. */
  constructor(channel: AttestedChannel, callers: number) {
    this.#client = new Client(channel.getTarget(), credentials.createInsecure(), {
      channelOverride: channel,
    });
    this.#callers = Array.from({ length: callers }, async (_, caller) => this.#call(caller));
  }

  /** How many calls were answered. */
  get answered(): number {
    return this.ended.filter(({ code }) => code === Code.OK).length;
  }

  /** Lets the calls that are under way end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#callers);
  }

  async #call(caller: number): Promise<void> {
    for (let count = 0; !this.#stopping; count++) {
      const ended = await this.#run(`${caller}-${count}`);
      this.ended.push(ended);
      if (ended.code !== Code.OK) {
        await new Promise((resolve) => {
          setTimeout(resolve, PAUSE_MS);
        });
      }
    }
  }

  async #run(key: string): Promise<Ended> {
    const { path, requestSerialize, responseDeserialize } = bootService.run;
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        Buffer.from(key),
        { deadline: Date.now() + DEADLINE_MS },
        (error: ServiceError | null) => {
          resolve({
            key,
            code: error?.code ?? Code.OK,
            errorCode: codeOf(error),
            outcome: error === null ? "executed" : outcomeOf(error),
            details: error?.details ?? "",
          });
        },
      );
    });
  }
}
