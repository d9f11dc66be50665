import { SECOND_MS } from '#kit/duration.ts';
import type { Declared } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { LedgerView } from '#model/records.ts';
import type { Clock } from '#ports/clock.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { Admission, Responder, ResponderCounters } from '#ports/responder.ts';
import { WireError } from '#ports/wire-error.ts';
import { admissionOf } from '#reconcile/admission.ts';
import { declaredAt, readRevision } from '#reconcile/revision.ts';
import type { Hosted } from './hosted.ts';
import type { DaemonLog } from './log.ts';

/** A halt reaches every responder within 5 s: this, one look, and the time to take it over. */
const LOOK_EVERY_MS = 1.5 * SECOND_MS;
/** A ledger that has not answered by then counts as one that cannot be read. */
const LOOK_LIMIT_MS = 2 * SECOND_MS;
/** What is admitted is in force at once; a broker that is slow to connect must not hold up what comes next. */
const ADMIT_LIMIT_MS = SECOND_MS;

export interface AdmissionsOptions {
  readonly hosted: () => Hosted;
  readonly share: string | null;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** A device whose state calls for a pass. */
  readonly onNews: (device: DeviceId) => void;
  /** In force from now on: what is declared, and the ledger. */
  readonly onAdmitted: (declared: Declared) => void;
}

interface Found {
  readonly hosted: Hosted;
  readonly declared: Declared;
  readonly view: LedgerView;
}

/**
 * Keeps the responders at what the ledger says, whoever wrote it: after each append of this process or another one. While
 * the ledger cannot be read nothing is known to be admitted, and every device is told to wait.
 */
export class Admissions {
  readonly #options: AdmissionsOptions;
  readonly #heard = new WeakSet<Responder>();
  #responders: readonly Responder[] = [];
  #found: Found | null = null;
  /** What the responders were told last; null: to wait. */
  #told: Found | null = null;
  #trouble: string | null = 'the ledger was not read yet';
  #work: Promise<void> = Promise.resolve();

  constructor(options: AdmissionsOptions) {
    this.#options = options;
  }

  /** Null while the responders serve what the ledger says. */
  get trouble(): string | null {
    return this.#trouble;
  }

  get counters(): readonly ResponderCounters[] {
    return this.#responders.map(({ counters }) => counters);
  }

  /** Looks again and again, until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await this.#options.clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** One look at the ledger; what it says is in force when it resolves. Never rejects for a broken wire. */
  look(): Promise<void> {
    return this.between(async () => {
      const reading = this.#read();
      reading.catch(() => undefined);
      const limit = new AbortController();
      const late = this.#options.clock.sleep(LOOK_LIMIT_MS, limit.signal).then(
        () => Promise.reject(new WireError('TIMEOUT', 'later', 'the ledger does not answer')),
        () => null,
      );
      try {
        const found = await Promise.race([reading, late]);
        if (found !== null) await this.#tell(found);
        this.#trouble = found === null ? 'no revision can be read' : null;
      } catch (error) {
        if (!(error instanceof WireError || error instanceof LedgerError)) throw error;
        await this.#freeze(`${error.code}: ${error.message}`);
      } finally {
        limit.abort();
      }
    });
  }

  /** What a pass of this process has just left. */
  async take(declared: Declared, view: LedgerView): Promise<void> {
    await this.between(async () => {
      const found = { hosted: this.#options.hosted(), declared, view };
      if (this.#found !== null && this.#found.hosted === found.hosted && this.#found.view.seq > view.seq) return;
      this.#found = found;
      await this.#tell(found);
      this.#trouble = null;
    });
  }

  /** While no look and no admission is under way. */
  between(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }

  /** The fleet as the last pass left it; the same value while nothing has changed. */
  async #read(): Promise<Found | null> {
    const own = this.#options.hosted();
    const before = this.#found?.hosted === own ? this.#found : null;
    const declared = before?.declared ?? (await this.#declaredNow(own));
    if (declared === null) return null;
    const ledger = await own.world.ledger(declared.fleet);
    if (before !== null && (await ledger.head()).seq === before.view.seq) return before;
    const view = own.world.fold(await ledger.read(), before?.view);
    const applied = view.commit === null || view.commit === declared.revision.commit ? declared : await this.#declaredAt(own, view.commit);
    this.#found = { hosted: own, declared: applied ?? declared, view };
    return this.#found;
  }

  async #declaredNow({ world, state }: Hosted): Promise<Declared | null> {
    const loaded = await readRevision(world, state, { mode: 'apply', at: world.clock.now() });
    return loaded.kind === 'loaded' ? loaded.declared : null;
  }

  /** Another process may have applied a commit that was not fetched here yet. */
  async #declaredAt({ world, state }: Hosted, commit: string): Promise<Declared | null> {
    const request = { commit, at: world.clock.now() };
    const known = await declaredAt(world, state, request);
    if (known !== null) return known;
    await world.source.refresh();
    return declaredAt(world, state, request);
  }

  async #tell(found: Found): Promise<void> {
    if (this.#told === found) return;
    const { world, state } = found.hosted;
    const admission: Admission = await admissionOf(world, state, found);
    const ledger = await world.ledger(found.declared.fleet);
    const set = await world.drivers(found.declared, 'reader', ledger.blobs);
    this.#responders = set.responders(this.#options.share);
    for (const responder of this.#responders) {
      if (!this.#heard.has(responder)) responder.onNews(this.#options.onNews);
      this.#heard.add(responder);
      await this.#admit(responder, admission);
    }
    this.#told = found;
    this.#options.onAdmitted(found.declared);
  }

  async #freeze(why: string): Promise<void> {
    if (this.#trouble === null) this.#options.log.warn('the ledger cannot be read: every device is told to wait', { why });
    this.#trouble = why;
    this.#told = null;
    for (const responder of this.#responders) await this.#admit(responder, null);
  }

  async #admit(responder: Responder, admission: Admission | null): Promise<void> {
    const done = new AbortController();
    const limit = this.#options.clock.sleep(ADMIT_LIMIT_MS, done.signal).catch(() => undefined);
    await Promise.race([responder.admit(admission), limit]);
    done.abort();
  }
}
