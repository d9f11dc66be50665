import type { BusMessage } from '#ports/message-bus.ts';
import type { Log } from '#ports/log.ts';
import { parseCommand, type CommandBody, type LoggerBody } from './sim-body.ts';
import { runOs, runProgram } from './sim-commands.ts';
import { runSmallCommand } from './sim-small-commands.ts';
import { isTranId } from './wire-commands.ts';

/** Thrown into whatever a logger is doing when its power goes. */
export class PowerLost extends Error {
  override readonly name = 'PowerLost';
}

interface QueueOwner {
  readonly id: string;
  readonly address: string;
  readonly log: Log;
  /** Null while it has none; another one after each loss. */
  power(): AbortController | null;
}

/** The commands of one logger, one at a time; what comes meanwhile waits (docs/protocols/campbell-mqtt.md §9.1). */
export class CommandQueue {
  readonly #body: LoggerBody;
  readonly #logger: QueueOwner;
  #last: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(body: LoggerBody, logger: QueueOwner) {
    this.#body = body;
    this.#logger = logger;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** What waits is gone with the power. */
  clear(): void {
    this.#last = Promise.resolve();
    this.#busy = false;
  }

  /** Malformed and unknown commands are met with silence (§4). */
  receive(message: BusMessage): void {
    const { voice, faults, dialect } = this.#body;
    const prefix = `${voice.baseTopic}/cc/${this.#logger.address}/`;
    if (!message.topic.startsWith(prefix)) return;
    const command = parseCommand(message.payload);
    const power = this.#logger.power();
    if (command === null || power === null) return;
    const [name = '', ofTopic] = message.topic.slice(prefix.length).split('/');
    if (ofTopic !== undefined && !faults.on('tranIdInTopic')) return;
    const named = ofTopic ?? command['tranID'];
    const tranId = dialect === 'v2' && typeof named === 'string' && isTranId(named) ? named : null;
    this.#last = this.#carryOutAfter(this.#last, { power, name, command, tranId });
  }

  async #carryOutAfter(
    earlier: Promise<void>,
    one: { readonly power: AbortController; readonly name: string; readonly command: CommandBody; readonly tranId: string | null },
  ): Promise<void> {
    await earlier;
    const { id, log, power } = this.#logger;
    if (power() !== one.power || one.power.signal.aborted) return;
    this.#busy = true;
    this.#body.voice.tranId = one.tranId;
    try {
      await carryOut(this.#body, one.name, one.command);
    } catch (error) {
      if (!(error instanceof PowerLost)) log.warn('a simulated logger failed', { device: id, error });
    } finally {
      if (power() === one.power) this.#busy = false;
    }
  }
}

async function carryOut(body: LoggerBody, name: string, command: CommandBody): Promise<void> {
  switch (name) {
    case 'OS':
      return await runOs(body, command);
    case 'program':
      return await runProgram(body, command);
    default:
      return await runSmallCommand(body, name, command);
  }
}
