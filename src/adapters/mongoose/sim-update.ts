import { SECOND_MS } from '#kit/duration.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { readBundle, type Bundle } from './bundle.ts';
import type { BundleProblem } from './bundle-problem.ts';
import { verifySignatures } from './bundle-signatures.ts';
import type { FaultSwitches } from './sim-faults.ts';
import type { OtaStatus } from './shadow-wire.ts';

/** Between two reports of progress (docs/protocols/shadow-devices.md §3.4, rule 7). */
const REPORT_BYTES = 50_000;
const REPORT_MS = 5 * SECOND_MS;
const MAX_REDIRECTS = 5;

const APPLIED = 'Update applied, finalizing';

/** What came of an update: `code` as the core has it, above 0 with a restart, 0 without, below 0 for an error (§3.4). */
export interface UpdateEnd {
  readonly code: number;
  readonly message: string;
}

export interface SimUpdaterOptions {
  readonly ports: SimPorts;
  readonly switches: FaultSwitches;
  readonly bytesPerSecond: number;
  /** Slots of ECDSA keys, PEM; and which of them must have signed, -1 for none at all. */
  readonly keys: readonly (string | null)[];
  readonly signatureMask: () => number;
  readonly timeoutMs: () => number;
  /** Platforms that it writes: its own, and that of the microcontroller behind it. */
  readonly platforms: () => readonly string[];
  readonly headers: () => Readonly<Record<string, string>>;
  /** No update is begun in a trial. */
  readonly mayBegin: () => boolean;
  /** Called for each GET, without the query. */
  asked(url: string): void;
  /** Called at each step that is to be reported. */
  progressed(): void;
  /** Writes what was verified. */
  apply(bundle: Bundle, commitTimeout: number): void;
}

interface Push {
  readonly size: number | null;
  readonly commitTimeout: number;
  readonly timeoutMs: number;
  readonly chunks: Uint8Array[];
  received: number;
}

const REFUSED: UpdateEnd = { code: -1, message: 'Failed to init updater' };

/** The update core: one update at a time, pulled from a URL or pushed in pieces, read as the core reads it. */
export class SimUpdater {
  readonly #options: SimUpdaterOptions;
  #run = 0;
  #isBusy = false;
  #push: Push | null = null;
  status: OtaStatus = 'idle';
  message = 'idle';
  percent = 0;
  /** Of the last end; 0 while it goes on. */
  code = 0;

  constructor(options: SimUpdaterOptions) {
    this.#options = options;
  }

  /** At each start: what was under way is gone. */
  reset(): void {
    this.#run += 1;
    this.#isBusy = false;
    this.#push = null;
    this.status = 'idle';
    this.message = 'idle';
    this.percent = 0;
    this.code = 0;
  }

  /** Null when the board went off meanwhile: nobody is there to answer. */
  async pull(url: string, commitTimeout: number): Promise<UpdateEnd | null> {
    const run = this.#begin();
    if (run === null) return REFUSED;
    const { switches } = this.#options;
    if (switches.on('pretends')) return this.#end({ code: 0, message: switches.text('pretends', APPLIED) });
    const fetched = await this.#fetch(url);
    if (run !== this.#run) return null;
    if (!fetched.ok) return this.#end(fetched.error);
    if (fetched.value === null) return this.#end({ code: 0, message: 'Not Modified' });
    const bytes = fetched.value;
    const read = this.#verify(bytes);
    const enough = read.ok ? bytes.length : Math.min(read.error.at, bytes.length);
    const stalled = await this.#receive(run, bytes.length, enough);
    if (run !== this.#run) return null;
    if (stalled) return this.#end({ code: -1, message: 'Update failed' });
    return this.#finish(read, commitTimeout);
  }

  /** Push mode: false where no update may begin. */
  begin(options: { readonly size: number | null; readonly commitTimeout: number; readonly timeoutMs: number }): boolean {
    const run = this.#begin();
    if (run === null) return false;
    this.#push = { ...options, chunks: [], received: 0 };
    this.#options.progressed();
    void this.#watchPush(run);
    return true;
  }

  /** False for a piece that does not follow what is there. */
  write(offset: number | null, bytes: Uint8Array): boolean {
    const push = this.#push;
    if (push === null || (offset !== null && offset !== push.received)) return false;
    push.chunks.push(bytes);
    const before = push.received;
    push.received += bytes.length;
    if (push.size !== null && push.size > 0) this.percent = Math.min(100, Math.floor((100 * push.received) / push.size));
    if (Math.floor(before / REPORT_BYTES) !== Math.floor(push.received / REPORT_BYTES)) this.#options.progressed();
    return true;
  }

  /** Finishes what was pushed, or gives it up where it is not whole. Null without any. */
  finishPush(): UpdateEnd | null {
    const push = this.#push;
    if (push === null) return null;
    this.#push = null;
    const bytes = joined(push.chunks, push.received);
    if (push.size !== null && push.received < push.size) return this.#end({ code: -1, message: 'Incomplete update package' });
    return this.#finish(this.#verify(bytes), push.commitTimeout);
  }

  /** A number of this update, null where none may begin. */
  #begin(): number | null {
    if (this.#isBusy || !this.#options.mayBegin()) return null;
    this.#run += 1;
    this.#isBusy = true;
    this.status = 'progress';
    this.message = 'progress';
    this.percent = 0;
    this.code = 0;
    return this.#run;
  }

  #end(end: UpdateEnd): UpdateEnd {
    this.#isBusy = false;
    this.status = end.code < 0 ? 'error' : 'success';
    this.message = end.message;
    this.code = end.code;
    if (end.code > 0) this.percent = 100;
    this.#options.progressed();
    return end;
  }

  #finish(read: Result<Bundle, { readonly message: string }>, commitTimeout: number): UpdateEnd {
    if (!read.ok) return this.#end({ code: -1, message: read.error.message });
    this.#options.apply(read.value, commitTimeout);
    return this.#end({ code: 1, message: APPLIED });
  }

  /** It gives up where nothing comes for so long. */
  async #watchPush(run: number): Promise<void> {
    let seen = -1;
    while (run === this.#run && this.#push !== null) {
      const { received, timeoutMs } = this.#push;
      if (received === seen) {
        this.#push = null;
        this.#end({ code: -1, message: 'Update failed' });
        return;
      }
      seen = received;
      await this.#options.ports.clock.sleep(timeoutMs);
    }
  }

  /** Null for 304. */
  async #fetch(url: string): Promise<Result<Uint8Array | null, UpdateEnd>> {
    const { switches, ports, headers } = this.#options;
    if (switches.on('downloadFails')) return err({ code: -10, message: switches.text('downloadFails', 'Failed to connect') });
    let at = url;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      if (!/^https?:\/\//.test(at)) return err({ code: -10, message: 'Failed to connect' });
      this.#options.asked(at.replace(/\?.*$/, ''));
      let answer: HttpAnswer;
      try {
        answer = await ports.get(at, headers());
      } catch (error) {
        return err(await this.#wireTrouble(error));
      }
      const { status, headers: told, bytes } = answer;
      const next = told['location'];
      if (status === 304) return ok(null);
      if ((status === 301 || status === 302) && next !== undefined) at = next;
      else if (status !== 200) return err({ code: -status, message: 'Invalid HTTP response code' });
      else if (told['content-length'] === undefined) return err({ code: -1, message: 'Invalid content-length, perhaps chunked-encoding' });
      else return ok(bytes);
    }
    return err({ code: -302, message: 'Invalid HTTP response code' });
  }

  async #wireTrouble(error: unknown): Promise<UpdateEnd> {
    const code = error instanceof WireError ? error.code : '';
    if (code === 'BAD_REDIRECT') return { code: -302, message: 'Invalid HTTP response code' };
    if (code === 'TIMEOUT') await this.#options.ports.clock.sleep(this.#options.timeoutMs());
    const isCut = code === 'TIMEOUT' || code === 'ECONNRESET' || code === 'TOO_LARGE';
    return isCut ? { code: -1, message: 'Update failed' } : { code: -10, message: 'Failed to connect' };
  }

  /** Takes in so many of all bytes at the pace of its link. True where it stalled until it gave up. */
  async #receive(run: number, total: number, enough: number): Promise<boolean> {
    const { ports, bytesPerSecond, switches, progressed, timeoutMs } = this.#options;
    const perMs = bytesPerSecond / SECOND_MS / switches.number('slow', 1);
    const step = Math.max(1, Math.min(REPORT_BYTES, Math.floor(perMs * REPORT_MS)));
    const stallAt = switches.on('stalls') ? Math.floor((total * switches.number('stalls', 50)) / 100) : null;
    for (let received = 0; received < enough;) {
      const next = Math.min(received + step, enough);
      if (stallAt !== null && next > stallAt) {
        await ports.clock.sleep(timeoutMs());
        return true;
      }
      await ports.clock.sleep(Math.ceil((next - received) / perMs));
      if (run !== this.#run) return false;
      received = next;
      this.percent = Math.floor((100 * received) / total);
      if (received < enough || received % step === 0) progressed();
    }
    return false;
  }

  /** What the core makes of the archive; `at` is the byte where it stops. */
  #verify(bytes: Uint8Array): Result<Bundle, { readonly message: string; readonly at: number }> {
    const { keys, signatureMask } = this.#options;
    const read = this.#read(bytes);
    if (!read.ok) {
      const { deviceText, offset } = read.error;
      return err({ message: deviceText ?? 'Update failed', at: offset ?? bytes.length });
    }
    return isSigned(read.value, keys, signatureMask()) ? read : err({ message: 'Update failed', at: 0 });
  }

  /** For any of its platforms; the first flaw that is not that it is for another one. */
  #read(bytes: Uint8Array): Result<Bundle, BundleProblem> {
    const [own = '', ...others] = this.#options.platforms();
    let read = readBundle(bytes, { platform: own });
    for (const platform of others) if (!read.ok && read.error.code === 'WRONG_PLATFORM') read = readBundle(bytes, { platform });
    return read;
  }
}

/** -1: nothing is asked; 0: nothing is good enough; else every slot of the mask must have signed (§3.1). */
function isSigned(bundle: Bundle, keys: readonly (string | null)[], mask: number): boolean {
  if (mask === -1) return true;
  if (mask === 0) return false;
  const good = verifySignatures(bundle, keys).reduce((bits, { slot, verdict }) => (verdict === 'VERIFIED' ? bits | (1 << slot) : bits), 0);
  return (good & mask) === mask;
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
