import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { SimDevice, SimEffect, SimPorts } from '#ports/sim.ts';
import { topicOf } from './options.ts';
import { DROGUE_FAULTS, FaultSwitches } from './sim-faults.ts';
import { NodeFlash, type FlashDriver, type Progress } from './sim-flash.ts';
import { NodeLink } from './sim-link.ts';
import { Updater, type Profile, type Step } from './sim-updater.ts';
import { spokenStatus, type NodeEncoding } from './sim-voice.ts';
import { decodeCommand, type Command } from './wire-commands.ts';

export interface DrogueTimings {
  /** How long an answer is waited for. */
  readonly timeoutMs: number;
  /** The pause after a block and after a timeout; whole seconds count. */
  readonly backoffMs: number;
  readonly rebootMs: number;
  readonly telemetryMs: number;
  /** How long an image runs that boots back. */
  readonly bootBackMs: number;
  readonly powerCutMs: number;
}

/** Those of the published updater (docs/protocols/drogue-dfu.md §4.1). */
const DEFAULT_TIMINGS: DrogueTimings = {
  timeoutMs: 15 * SECOND_MS,
  backoffMs: SECOND_MS,
  rebootMs: 5 * SECOND_MS,
  telemetryMs: 60 * SECOND_MS,
  bootBackMs: 20 * SECOND_MS,
  powerCutMs: 10 * SECOND_MS,
};

export interface DrogueSimOptions {
  /** What stands for it in its topics; behind a gateway, what the world calls it. */
  readonly id: string;
  readonly firmware: string;
  readonly profile?: Profile;
  readonly driver?: FlashDriver;
  readonly progress?: Progress;
  readonly encoding?: NodeEncoding;
  readonly mtu?: number | null;
  readonly writeSize?: number;
  /** Templates as in the options of the family. */
  readonly up?: string;
  readonly down?: string;
  readonly telemetry?: string | null;
  readonly group?: string;
  /** The gateway that it is behind, and the id that tells it from the others there. */
  readonly gateway?: { readonly name: string; readonly correlation: number; readonly link: NodeLink };
  readonly correlation?: number;
  readonly timings?: Partial<DrogueTimings>;
}

/** A simulated node, and what it did besides. */
export interface DrogueSimDevice extends SimDevice {
  /** SHA-256 of the image that runs, in lower-case hex; null for the one that it was made with. */
  imageDigest(): string | null;
  /** Blocks that it took. */
  readonly blocks: number;
}

/** Thrown into whatever a node is doing when its power goes. */
class PowerLost extends Error {
  override readonly name = 'PowerLost';
}

/**
 * A simulated node: the state machine of docs/protocols/drogue-dfu.md §5.1 over a real broker, as the published updater
 * behaves or as a strict one would. `powerOn` resolves when it is connected, or when the first attempt failed.
 */
export function makeDrogueDevice(options: DrogueSimOptions, ports: SimPorts): DrogueSimDevice {
  return new DrogueNode(options, ports);
}

class DrogueNode implements DrogueSimDevice {
  readonly id: string;
  readonly faults = DROGUE_FAULTS;
  blocks = 0;
  readonly #options: DrogueSimOptions;
  readonly #ports: SimPorts;
  readonly #timings: DrogueTimings;
  readonly #switches = new FaultSwitches();
  readonly #flash: NodeFlash;
  readonly #link: NodeLink;
  readonly #profile: Profile;
  readonly #topics: { readonly up: string; readonly down: string; readonly telemetry: string | null };
  readonly #effects: SimEffect[] = [];
  readonly #cutAt = new Set<number>();
  readonly #receive = (payload: Uint8Array): void => this.#hear(payload);
  #inbox: Uint8Array[] = [];
  #wake: (() => void) | null = null;
  #first: Uint8Array | null = null;
  #power: AbortController | null = null;
  #life: Promise<void> = Promise.resolve();
  #bricked = false;

  constructor(options: DrogueSimOptions, ports: SimPorts) {
    const { id, gateway, group = '-', profile = 'reference' } = options;
    if (/[+#\s]/.test(id) || id === '') throw new RangeError(`no name for a node in a topic: ${JSON.stringify(id)}`);
    this.id = id;
    this.#options = options;
    this.#ports = ports;
    this.#profile = profile;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    const strict = profile === 'strict';
    this.#flash = new NodeFlash({
      version: options.firmware,
      driver: options.driver ?? (strict ? 'strict' : 'simulator'),
      progress: options.progress ?? (strict ? 'persisted' : 'ram'),
      writeSize: options.writeSize ?? 4,
    });
    this.#link = gateway?.link ?? new NodeLink(`node-${id}`);
    const names = { device: gateway?.name ?? id, group };
    this.#topics = {
      up: topicOf(options.up ?? 'dfu/{device}', names),
      down: topicOf(options.down ?? 'command/inbox/{device}/dfu', names),
      telemetry: options.telemetry == null ? null : topicOf(options.telemetry, { ...names, device: id }),
    };
  }

  get effects(): readonly SimEffect[] {
    return this.#effects;
  }

  get powered(): boolean {
    return this.#power !== null;
  }

  truth(): Readonly<Record<string, string>> {
    const { version, damaged } = this.#flash.running;
    return { firmware: damaged ? `${version}, damaged` : version };
  }

  imageDigest(): string | null {
    return this.#flash.running.digest;
  }

  fault(name: string, value: Json): void {
    this.#switches.set(name, value);
  }

  async powerOn(): Promise<void> {
    if (this.#power !== null || this.#bricked) return;
    const power = new AbortController();
    this.#power = power;
    await this.#life;
    this.#inbox = [];
    await this.#link.join(this.#topics.down, this.#receive, this.#ports);
    if (!power.signal.aborted) this.#life = this.#live(power.signal);
  }

  async powerOff(): Promise<void> {
    const power = this.#power;
    if (power === null) return;
    this.#power = null;
    power.abort(new PowerLost('the power is gone'));
    this.#wake?.();
    await this.#life;
    await this.#link.leave(this.#topics.down, this.#receive);
    this.#reset();
  }

  async #live(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const measuring = new AbortController();
        const until = AbortSignal.any([signal, measuring.signal]);
        void this.#measure(until).catch(ignorePower);
        const rebooted = await this.#runs(signal).finally(() => measuring.abort(new PowerLost('it restarts')));
        if (rebooted === 'dark') return;
      }
    } catch (error) {
      ignorePower(error);
    }
  }

  /** One run of the updater after the other, until the node restarts. */
  async #runs(signal: AbortSignal): Promise<'restarted' | 'dark'> {
    for (;;) {
      const { mtu = 512, correlation = null, gateway } = this.#options;
      const updater = new Updater(this.#flash, {
        profile: this.#profile,
        mtu: this.#switches.on('mtu') ? this.#switches.number('mtu', 0) : mtu,
        correlationId: gateway?.correlation ?? correlation,
        backoffMs: this.#timings.backoffMs,
      });
      const step = await this.#run(updater, signal);
      switch (step.kind) {
        case 'synced':
          if (this.#flash.onTrial) this.#note('markGood', this.#flash.running.version);
          this.#flash.markGood();
          await this.#pause(step.pauseMs, signal);
          break;
        case 'failed':
          this.#note('refused', step.why);
          await this.#pause(updater.backoffMs, signal);
          break;
        case 'swap':
          return await this.#swap(step, signal);
        case 'restart':
          return 'restarted';
      }
    }
  }

  async #run(updater: Updater, signal: AbortSignal): Promise<Exclude<Step, { kind: 'again' | 'ignored' }> | { readonly kind: 'restart' }> {
    for (;;) {
      await this.#say(updater);
      if (this.#flash.onTrial && this.#switches.on('bootBack')) {
        await this.#pause(this.#timings.bootBackMs, signal);
        await this.#restart(signal);
        return { kind: 'restart' };
      }
      const step = await this.#answer(updater, signal);
      if (step === 'cut') return { kind: 'restart' };
      if (step !== null && step.kind !== 'again') return step;
      await this.#pause(step?.pauseMs ?? updater.backoffMs, signal);
    }
  }

  /** What came of the answer to one status; null for none in time. */
  async #answer(updater: Updater, signal: AbortSignal): Promise<Exclude<Step, { kind: 'ignored' }> | 'cut' | null> {
    const end = this.#ports.clock.monotonicMs() + this.#timings.timeoutMs;
    for (;;) {
      const command = await this.#next(end, signal);
      if (command === null) return null;
      if (command.kind === 'Write' && this.#isCut(command.offset)) {
        this.#note('powerCut', `at ${command.offset}`);
        await this.#restart(signal, this.#timings.powerCutMs);
        return 'cut';
      }
      const step = updater.take(this.#spoilt(command));
      if (updater.began !== null) this.#note('begin', updater.began);
      if (step.kind === 'ignored') continue;
      if (command.kind === 'Write' && step.kind === 'again') this.blocks += 1;
      return step;
    }
  }

  /** Once at each block, before any of it is kept. */
  #isCut(offset: number): boolean {
    if (!this.#switches.on('cutEachBlock') || this.#cutAt.has(offset)) return false;
    this.#cutAt.add(offset);
    return true;
  }

  #spoilt(command: Command): Command {
    if (this.#switches.on('ignorePoll') && 'poll' in command) return { ...command, poll: null };
    if (command.kind !== 'Write' || command.data.length === 0 || this.#ports.random() >= this.#switches.chance('corruptFlash'))
      return command;
    const at = Math.floor(this.#ports.random() * command.data.length);
    return { ...command, data: command.data.with(at, (command.data[at] ?? 0) ^ 1) };
  }

  async #swap({ version, checksum }: Extract<Step, { kind: 'swap' }>, signal: AbortSignal): Promise<'restarted' | 'dark'> {
    const image = this.#flash.swap(version, checksum);
    this.#note('swap', `${version} ${image?.digest ?? 'refused'}`);
    if (this.#switches.on('brick')) {
      this.#bricked = true;
      this.#note('brick', version);
      return 'dark';
    }
    if (image?.damaged === true) this.#note('damaged', `${version} ${image.digest ?? ''}`);
    if (image !== null && !image.damaged && !this.#switches.on('failSwap')) {
      this.#flash.boot({ ...image, version: this.#switches.text('wrongVersion', version) });
      this.#note('flash', `${version} ${image.digest ?? ''}`);
    }
    await this.#pause(this.#timings.rebootMs, signal);
    if (!this.#switches.on('silentAfterSwap')) return 'restarted';
    this.#note('silent', version);
    return 'dark';
  }

  /** A reset of its own accord. */
  async #restart(signal: AbortSignal, downMs: number = this.#timings.rebootMs): Promise<void> {
    this.#reset();
    await this.#pause(downMs, signal);
  }

  #reset(): void {
    const before = this.#flash.running.version;
    this.#inbox = [];
    if (this.#flash.reset()) this.#note('bootBack', `${before} → ${this.#flash.running.version}`);
  }

  async #say(updater: Updater): Promise<void> {
    // What came for an earlier status is not looked at; the published client takes it (§7.2).
    if (this.#profile === 'strict') this.#inbox = [];
    const status = updater.status();
    const faults = this.#switches;
    const said = spokenStatus(status, this.#options.encoding ?? 'packed', faults);
    const spoken = faults.on('garbage') ? Uint8Array.from(said, (byte) => (this.#ports.random() < 0.3 ? byte ^ 0xff : byte)) : said;
    this.#first ??= spoken;
    if (this.#ports.random() < faults.chance('loseUp')) return;
    await this.#slow(spoken.length);
    await this.#link.publish(this.#topics.up, spoken);
    if (this.#ports.random() < faults.chance('duplicateUp')) await this.#link.publish(this.#topics.up, spoken);
    if (faults.on('replay')) await this.#link.publish(this.#topics.up, this.#first);
  }

  async #measure(signal: AbortSignal): Promise<void> {
    const { telemetry } = this.#topics;
    if (telemetry === null) return;
    const began = this.#ports.clock.monotonicMs();
    for (;;) {
      await this.#pause(this.#timings.telemetryMs, signal);
      // Only the image that was swapped in is unwell.
      const unwell = this.#switches.on('unhealthy') && this.#flash.running.digest !== null;
      const uptime = Math.floor((this.#ports.clock.monotonicMs() - began) / SECOND_MS);
      const said = { battery: 3.6, selfTest: unwell ? 'failed' : 'ok', uptime };
      await this.#link.publish(telemetry, new TextEncoder().encode(JSON.stringify(said)));
    }
  }

  #hear(payload: Uint8Array): void {
    if (this.#power === null || this.#ports.random() < this.#switches.chance('loseDown')) return;
    const copies = this.#ports.random() < this.#switches.chance('duplicateDown') ? 2 : 1;
    const delayMs = this.#switches.number('delayDown', 0) + this.#slowMs(payload.length);
    const { signal } = this.#power;
    const deliver = (): void => {
      for (let copy = 0; copy < copies; copy += 1) this.#inbox.push(payload);
      this.#wake?.();
    };
    if (delayMs === 0) deliver();
    else void this.#ports.clock.sleep(delayMs, signal).then(deliver, () => undefined);
  }

  /** The next command that is for this node, or null at the end of its patience. */
  async #next(end: number, signal: AbortSignal): Promise<Command | null> {
    for (;;) {
      signal.throwIfAborted();
      const payload = this.#inbox.shift();
      if (payload === undefined) {
        const left = end - this.#ports.clock.monotonicMs();
        if (left <= 0) return null;
        await this.#mail(left);
        continue;
      }
      const command = decodeCommand(payload);
      const { gateway } = this.#options;
      // A gateway hands each node what carries its id.
      if (command.ok && (gateway === undefined || command.value.correlationId === gateway.correlation)) return command.value;
    }
  }

  async #mail(ms: number): Promise<void> {
    const timer = new AbortController();
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    try {
      await Promise.race([woken, this.#ports.clock.sleep(ms, timer.signal)]);
    } finally {
      this.#wake = null;
      timer.abort(new PowerLost('no longer waited for'));
    }
  }

  async #slow(bytes: number): Promise<void> {
    const ms = this.#slowMs(bytes);
    if (ms > 0 && this.#power !== null) await this.#pause(ms, this.#power.signal);
  }

  /** `slowLink`: bytes per second, both ways. */
  #slowMs(bytes: number): number {
    return this.#switches.on('slowLink') ? Math.ceil((bytes * SECOND_MS) / this.#switches.number('slowLink', 1000)) : 0;
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (ms > 0) await this.#ports.clock.sleep(ms, signal);
  }

  #note(kind: string, detail: string): void {
    this.#effects.push({ at: this.#ports.clock.now(), kind, detail });
  }
}

function ignorePower(error: unknown): void {
  if (!(error instanceof PowerLost)) throw error;
}
