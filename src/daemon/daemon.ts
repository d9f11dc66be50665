import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Declared } from '#model/declared.ts';
import type { Clock } from '#ports/clock.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Wires } from '#ports/wires.ts';
import { eventText } from '#view/events.ts';
import { metricsText } from '#view/metrics.ts';
import { openWorld } from '#world.ts';
import { Admissions } from './admissions.ts';
import { Counters } from './counters.ts';
import { hosted, type Hosted } from './hosted.ts';
import { startHttp } from './http.ts';
import { openJournal, type OpenedJournal } from './journal.ts';
import type { DaemonLog } from './log.ts';
import { Passes, type PassEnd } from './passes.ts';
import { isCron, startSchedule, type Schedule } from './schedule.ts';
import type { DaemonSettings } from './settings.ts';

const EVERY_MINUTE = '* * * * *';
/** What a stop may take in all; less than what a supervisor grants before it kills. */
const DRAIN_MS = 5 * SECOND_MS;
/** Of that, for a pass that is under way. */
const PASS_DRAIN_MS = 2.5 * SECOND_MS;
/** Kept for what is left to be closed at the very end. */
const RESERVE_MS = 0.25 * SECOND_MS;
/** A pass spreads its operations over five minutes at most; one that takes so much longer hangs. */
const LONGEST_PASS_MS = 20 * MINUTE_MS;

export interface DaemonOptions {
  readonly settings: DaemonSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: DaemonLog;
  readonly clock: Clock;
  /** Told to end; whatever is under way has 5 s. */
  readonly signal: AbortSignal;
  /** Registers what is to be done when told to reload (SIGHUP). */
  readonly onReload?: (reload: () => void) => void;
  readonly wires?: Wires;
  /** Told where it listens once it does. */
  readonly onListening?: (url: string) => void;
}

/**
 * Passes on a schedule, answers to devices that ask, and a page for a monitor, until the signal. Gives the exit code: 0
 * after a whole drain, 1 when 5 s were not enough. Throws WireError for what cannot be begun at all (an address in use, a
 * journal that another process writes).
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { settings, log } = options;
  const secret = await readSecret(options);
  const journal = journalOf(settings);
  const daemon = new Daemon(options, { secret, journal });
  const server = await startHttp(settings, daemon.face()).catch(async (error: unknown) => {
    await journal?.close();
    throw error;
  });
  options.onListening?.(server.url);
  log.info('daemon begins', { listens: server.url, only: settings.only ?? 'all', schedule: settings.schedule ?? 'as fleet.yaml says' });
  options.onReload?.(() => void daemon.reload());
  await daemon.run();
  const clean = await daemon.drain(() => server.close());
  log.info('daemon ends', { clean });
  return clean ? 0 : 1;
}

class Daemon {
  readonly #options: DaemonOptions;
  readonly #journal: OpenedJournal | null;
  readonly #counters = new Counters();
  readonly #passes: Passes;
  readonly #admissions: Admissions;
  #schedule: { readonly key: string; readonly running: Schedule } | null = null;
  #secret: string | null;
  #declaredSecret: string | null = null;
  #hosted: Hosted;
  #declared: Declared | null = null;
  #last: PassEnd | null = null;
  #working: Promise<unknown> = Promise.resolve();
  #reloading: Promise<void> = Promise.resolve();

  constructor(options: DaemonOptions, parts: { readonly secret: string | null; readonly journal: OpenedJournal | null }) {
    const { settings, clock, log } = options;
    this.#options = options;
    this.#secret = parts.secret;
    this.#journal = parts.journal;
    this.#hosted = this.#open();
    const own = { hosted: () => this.#hosted, clock, log };
    this.#passes = new Passes({
      ...own,
      onEnd: (end) => this.#ended(end),
    });
    this.#admissions = new Admissions({
      ...own,
      share: settings.instance === null ? null : 'headgate',
      onNews: (device) => {
        log.debug('device calls for a pass', { device });
        this.#passes.request('device');
      },
      onAdmitted: (declared) => this.#take(declared),
    });
    this.#plan(null);
  }

  face() {
    return {
      unhealthy: () => this.#unhealthy(),
      unready: () => this.#unready(),
      metrics: () => this.#metrics(),
      webhookSecret: () => (this.#options.settings.only === 'responder' ? null : (this.#secret ?? this.#declaredSecret)),
      branch: () => this.#declared?.fleet.branch ?? null,
      onPush: () => this.#passes.request('push'),
      onWebhook: (result: Parameters<Counters['webhook']>[0]) => this.#counters.webhook(result),
    };
  }

  /** Until the signal. */
  async run(): Promise<void> {
    const { settings, signal } = this.#options;
    const work: Promise<void>[] = [];
    if (settings.only !== 'passes') work.push(this.#admissions.follow(signal));
    if (settings.only !== 'responder') {
      this.#passes.request('start');
      work.push(this.#passes.run(signal));
    }
    const working = Promise.all(work);
    this.#working = working.catch(() => undefined);
    await Promise.race([working, aborted(signal)]);
  }

  /** Everything is opened anew between two passes: connections with their certificates, secrets, the ledger. */
  reload(): Promise<void> {
    const { log } = this.#options;
    this.#reloading = this.#reloading
      .then(async () => {
        this.#secret = await readSecret(this.#options);
        // The old world ends before the new one begins: two responders would answer each device twice.
        await this.#passes.between(() =>
          this.#admissions.between(async () => {
            await this.#hosted.world.close();
            this.#hosted = this.#open();
          }),
        );
        if (this.#options.settings.only !== 'passes') await this.#admissions.look();
        this.#passes.request('reload');
        log.info('reloaded');
      })
      .catch((error: unknown) => log.error('reload failed', { why: error instanceof Error ? error.message : '' }));
    return this.#reloading;
  }

  /** Ends what is under way, then closes; whether that was done in time. */
  async drain(closeServer: () => Promise<void>): Promise<boolean> {
    this.#schedule?.running.stop();
    const whole = async (): Promise<boolean> => {
      const ended = await within(this.#working, PASS_DRAIN_MS);
      await this.#hosted.world.close();
      await this.#journal?.close();
      await closeServer();
      return ended;
    };
    const drained = whole();
    drained.catch(() => undefined);
    return within(drained, DRAIN_MS - RESERVE_MS).then(async (inTime) => inTime && drained);
  }

  /** What fleet.yaml says of the daemon, from now on. */
  #take(declared: Declared): void {
    this.#declared = declared;
    this.#plan(declared);
    const reference = declared.fleet.daemon?.webhook ?? null;
    const secret = reference === null ? null : resolveSecret(reference, this.#options);
    if (reference !== null && secret === null && this.#declaredSecret === null) {
      this.#options.log.debug('the secret that fleet.yaml refers to is not there', { reference });
    }
    this.#declaredSecret = secret;
  }

  /** The command line goes before fleet.yaml, and that before every minute. */
  #plan(declared: Declared | null): void {
    const { settings, log } = this.#options;
    if (settings.only === 'responder') return;
    const wanted = settings.schedule ?? declared?.fleet.daemon?.schedule ?? EVERY_MINUTE;
    const zone = declared?.fleet.zone ?? null;
    const key = `${wanted} ${zone ?? ''}`;
    if (this.#schedule?.key === key) return;
    if (!isCron(wanted)) log.warn('the schedule in fleet.yaml is no cron line', { schedule: wanted });
    this.#schedule?.running.stop();
    const running = startSchedule(isCron(wanted) ? wanted : EVERY_MINUTE, zone, () => this.#passes.request('schedule'));
    this.#schedule = { key, running };
  }

  #open(): Hosted {
    const { settings, env, log, clock, wires } = this.#options;
    return hosted(
      openWorld({
        repo: settings.repo,
        env,
        clock,
        log,
        cacheDir: settings.state,
        holder: `daemon ${settings.instance ?? hostname()} ${process.pid}`,
        ...(settings.branch === null ? {} : { branch: settings.branch }),
        ...(settings.instance === null ? {} : { instance: settings.instance }),
        ...(wires === undefined ? {} : { wires }),
        ...(this.#journal === null ? {} : { journal: this.#journal }),
      }),
    );
  }

  async #ended(end: PassEnd): Promise<void> {
    const { log, clock, settings } = this.#options;
    this.#counters.pass(end, clock.now());
    this.#last = end;
    const { kind, cause, durationMs, why, report } = end;
    const result = report?.result ?? null;
    const data = { cause, ms: Math.round(durationMs), performed: result?.executed.length ?? 0, ...(why === null ? {} : { why }) };
    if (kind === 'failed') log.error('pass failed', data);
    else if (kind === 'busy') log.debug('another runner holds the lease', data);
    else log.info(`pass: ${kind}`, data);
    for (const event of result?.decision.events ?? [])
      log.info('rollout', { event: eventText(event, result?.declared.fleet.zone ?? 'UTC') });
    for (const trouble of result?.troubles ?? []) log.warn('connection is in trouble', { ...trouble });
    if (result === null) return;
    this.#take(result.declared);
    if (settings.only !== 'passes') await this.#admissions.take(result.declared, result.view);
  }

  #unhealthy(): string | null {
    const runningMs = this.#passes.runningMs;
    return runningMs !== null && runningMs > LONGEST_PASS_MS ? 'a pass hangs' : null;
  }

  #unready(): string | null {
    const { settings, signal } = this.#options;
    if (signal.aborted) return 'ending';
    if (settings.only !== 'passes' && this.#admissions.trouble !== null) return this.#admissions.trouble;
    if (settings.only === 'responder') return null;
    if (this.#last === null) return 'no pass has ended yet';
    return this.#last.kind === 'failed' ? (this.#last.why ?? 'the last pass failed') : null;
  }

  #metrics(): string {
    const { user, system } = process.cpuUsage();
    return metricsText(
      this.#counters.metrics({
        now: this.#options.clock.now(),
        responders: this.#admissions.counters,
        connections: this.#hosted.world.connections?.() ?? [],
        ready: this.#unready() === null,
        cpuSeconds: (user + system) / 1e6,
        residentBytes: process.memoryUsage.rss(),
      }),
    );
  }
}

async function readSecret({ settings, env }: DaemonOptions): Promise<string | null> {
  if (settings.webhookSecretFile === null) return env['HEADGATE_WEBHOOK_SECRET'] || null;
  try {
    return (await readFile(settings.webhookSecretFile, 'utf8')).trim() || null;
  } catch {
    throw new WireError('NO_SECRET', 'never', `cannot read the webhook secret in ${settings.webhookSecretFile}`);
  }
}

/** `${env:NAME}` or `${file:PATH}`; null where there is nothing. */
function resolveSecret(reference: string, { env }: DaemonOptions): string | null {
  const [, kind, name = ''] = /^\$\{(env|file):([^}]+)\}$/.exec(reference) ?? [];
  if (kind === undefined) return null;
  if (kind === 'env') return env[name] || null;
  try {
    return readFileSync(resolve(name), 'utf8').trim() || null;
  } catch {
    return null;
  }
}

/** A responder writes it; passes alone read what the responder beside them wrote, if there is one. */
function journalOf({ only, state }: DaemonSettings): OpenedJournal | null {
  const dir = join(state, 'responder');
  const opened = openJournal({ dir, role: only === 'passes' ? 'reader' : 'writer' });
  if (!opened.ok) throw new WireError(opened.error.code, 'never', opened.error.message);
  return opened.value;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((end) => signal.addEventListener('abort', () => end(), { once: true }));
}

/** Whether it ended in that time. Always real time: a supervisor's patience is. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  const done = await Promise.race([work.then(() => true), late.promise]);
  clearTimeout(timer);
  return done;
}
