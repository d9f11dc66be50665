import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Content, DeclaredDevice } from '#model/declared.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import { emptyReport } from '#model/reported.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { ArtifactProblem } from '#ports/artifacts.ts';
import type { Driver, DriverOutcome, DriverPorts, ObserveAnswer, ObserveRequest, PerformContext, Precheck } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';
import { dialectOf } from './ask.ts';
import { confirm } from './confirm.ts';
import { COMMAND_EXPIRY_MS, makeConversation } from './driver-converse.ts';
import { withAskedItems } from './derive.ts';
import { applySettings, deleteFiles, settingValues } from './driver-apply.ts';
import { askLoggers } from './driver-ask.ts';
import { Identities } from './driver-identity.ts';
import { closedTo, lookAt, takenUp, type Moment, type Refusal } from './driver-look.ts';
import { Trusts } from './driver-trust.ts';
import { OWN_TRAN_ID, Session, WatchList, type Watched } from './driver-session.ts';
import { filesOrder, type FilesOrder } from './files.ts';
import { endpointProblem, moveEntries, moveOrder, whereabouts, type MoveOrder } from './move.ts';
import type { MqttConfigEntry } from './mqtt-config.ts';
import { commandFacts, type CommandFacts } from './operations.ts';
import { campbellOptions } from './options.ts';
import { countSilence, decayOnline } from './reports.ts';
import { rotationFacts } from './rotation.ts';
import { settingsOrder, type SettingsOrder } from './settings-operations.ts';
import { loadTrust } from './trust-operations.ts';
import { encodeCommand, type CommandPlace, type CommandRequest } from './wire-commands.ts';

/** The download begins within this; the URL lives so much longer than the download may take. */
const URL_MARGIN_MS = 10 * MINUTE_MS;

/**
 * Talks to Campbell loggers over the fleet's MQTT connections. Subscriptions stay open from pass to pass: what is said
 * between two of them is in the reports of the next. Commands go out at QoS 0, never retained, with an expiry where the
 * broker has it, and only to a logger that is known to be online (docs/protocols/campbell-mqtt.md §12).
 */
export function makeCampbellDriver(ports: DriverPorts): Driver {
  return new CampbellDriver(ports);
}

class CampbellDriver implements Driver {
  readonly #ports: DriverPorts;
  readonly #watchList = new WatchList();
  readonly #sessions = new Map<string, Session>();
  /** Commands said so far, so that each has a name of its own. */
  #said = 0;

  readonly #identities: Identities;
  readonly #trusts: Trusts;

  constructor(ports: DriverPorts) {
    this.#ports = ports;
    this.#identities = new Identities(ports);
    this.#trusts = new Trusts(ports);
  }

  async observe(request: ObserveRequest): Promise<ObserveAnswer> {
    const watched = request.devices
      .filter((device) => device.address !== null)
      .map((device) => this.#watchList.enroll(device, request.last(device.id)));
    const connections = new Set(watched.flatMap(({ device }) => connectionsOf(device)));
    const answers = await Promise.all(
      [...connections].toSorted(compareText).map(async (connection) => {
        const there = watched.filter(({ device }) => connectionsOf(device).includes(connection));
        return await this.#watch(connection, there, request.signal);
      }),
    );
    const troubles = answers.filter((trouble) => trouble !== null);
    if (request.listenMs > 0 && troubles.length < connections.size) await this.#listen(request);
    if (this.#ports.role === 'holder' && request.openSince !== undefined) await this.#ask(watched, request);
    const unseen = await this.#identities.observe(watched, request.signal);
    await this.#trusts.observe(watched, ({ device }) => request.openOf?.(device.id) ?? [], request.signal);
    return { reports: this.#collect(watched, request), troubles: [...troubles, ...unseen] };
  }

  async precheck(operation: Operation, open: OpenOperation | null, context: PerformContext): Promise<Precheck> {
    const look = await this.#precheck(operation, open, context);
    if (look.kind !== 'clear') return look;
    return (await this.#trusts.precheck(operation, this.#watchedOf(context.device), context)) ?? look;
  }

  async #precheck(operation: Operation, open: OpenOperation | null, context: PerformContext): Promise<Precheck> {
    const facts = rotationFacts(operation.facts);
    if (loadTrust(operation) !== null) {
      const report = this.#reportOf(context);
      if (report.problem !== null) return { kind: 'refused', reason: report.problem.reason, evidence: report.problem.detail };
      if (open !== null && confirm(open, report).kind === 'confirmed')
        return { kind: 'already', reference: open.reference ?? open.intendedAt, undo: null };
      return this.#closed(context.device, report) ?? { kind: 'clear' };
    }
    if (facts === null) {
      const move = moveOrder(operation.facts);
      const report = this.#reportOf(context);
      const seen = lookAt(operation, open, report);
      const look = seen.kind === 'clear' ? (this.#closed(context.device, report) ?? seen) : seen;
      return move === null || look.kind !== 'clear' ? look : await this.#lookAhead(move, context);
    }
    const watched = this.#watchedOf(context.device);
    const answer = await this.#identities.precheck({ operation, facts, open, context, watched });
    if (answer !== null || facts.kind === 'withdraw-identity') return answer ?? { kind: 'clear' };
    const report = this.#reportOf(context);
    return this.#closed(context.device, report) ?? { kind: 'clear' };
  }

  async perform(operation: Operation, _open: OpenOperation | null, context: PerformContext): Promise<DriverOutcome> {
    const rotation = rotationFacts(operation.facts);
    if (rotation?.kind === 'withdraw-identity') return await this.#identities.withdraw(context.device, rotation, context.signal);
    if (rotation !== null) return await this.#load(operation, context, (roots) => this.#identities.fileUrl({ operation, context }, roots));
    const move = moveOrder(operation.facts);
    if (move !== null) return await this.#load(operation, context, (roots) => this.#moveUrl(move, context, roots));
    if (loadTrust(operation) !== null)
      return await this.#load(operation, context, (roots) => this.#identities.configUrl(roots, context.device));
    const facts = commandFacts(operation.facts);
    const { address } = context.device;
    const order = settingsOrder(operation.facts) ?? filesOrder(operation.facts);
    if (order !== null) return await this.#apply(operation, order, context);
    if (operation.kind !== 'change' || facts === null || context.content === null || address === null) {
      return { kind: 'refused', reason: 'UNSUPPORTED', evidence: 'this is no command that a logger of this family knows' };
    }
    const url = await this.#urlOf(operation, facts, { content: context.content, signal: context.signal });
    if (typeof url !== 'string') return url;
    const { fileName, minVersion } = facts;
    const request: CommandRequest = fileName === null ? { kind: 'os', url, version: null, minVersion } : { kind: 'program', url, fileName };
    const tranId = `${OWN_TRAN_ID}${facts.command}-${operation.id.slice(0, 16)}`;
    return await this.#sendNamed(operation, context, { request, tranId });
  }

  /** The configuration file lies ready for one download, and is told to the logger. */
  async #load(
    operation: Operation,
    context: PerformContext,
    urlWith: (roots: readonly MqttConfigEntry[]) => string | DriverOutcome,
  ): Promise<DriverOutcome> {
    const roots = this.#trusts.entries(context, operation);
    if (roots === null) return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'other roots are declared now' };
    const url = urlWith(roots);
    if (typeof url !== 'string') return url;
    const tranId = `${OWN_TRAN_ID}mqttConfig-${operation.id.slice(0, 16)}`;
    return await this.#sendNamed(operation, context, { request: { kind: 'mqttConfig', url }, tranId });
  }

  /** The file with endpoint and login of the other broker; it may hold a password. */
  #moveUrl(move: MoveOrder, { device }: PerformContext, roots: readonly MqttConfigEntry[]): string | DriverOutcome {
    const values = settingValues(move, device);
    if (values === null) return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'the secret that is declared now is another' };
    const entries = moveEntries(values);
    if (entries === null) return { kind: 'refused', reason: 'UNSUPPORTED', evidence: 'a configuration file has no such setting' };
    return this.#identities.configUrl([...roots, ...entries], device);
  }

  /** A move is sent only where its end can be seen, and to a broker that lets the logger in. */
  async #lookAhead(move: MoveOrder, context: PerformContext): Promise<Precheck> {
    const { device, signal } = context;
    const at = whereabouts(device, this.#reportOf(context));
    if (at !== move.from)
      return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: `was last heard at ${at}, not at ${move.from}` };
    if (!Number.isFinite(this.#sessions.get(move.to)?.since ?? Number.POSITIVE_INFINITY)) {
      const evidence = `${move.to} is not listened to at this moment: nothing could prove that the logger arrived there`;
      return { kind: 'refused', reason: 'CONDITIONS_NOT_MET', evidence };
    }
    const wrong = endpointProblem(move, this.#ports.connection(move.to), campbellOptions(device.options));
    if (wrong !== null) return { kind: 'refused', reason: 'LOCKOUT_GUARD', evidence: wrong };
    return (
      (await this.#identities.entryRefusal(device, { report: this.#reportOf(context), connection: move.to, signal })) ?? { kind: 'clear' }
    );
  }

  async #sendNamed(
    operation: Operation,
    context: PerformContext,
    { request, tranId }: { readonly request: CommandRequest; readonly tranId: string },
  ): Promise<DriverOutcome> {
    const encoded = encodeCommand(request, { ...this.#placeOf(context.device, this.#reportOf(context)), tranId });
    if (!encoded.ok) return { kind: 'refused', reason: 'UNSUPPORTED', evidence: `${encoded.error.text}, because of its URL` };
    return await this.#send(operation, context, encoded.value);
  }

  #placeOf(device: DeclaredDevice, report: ReportedDevice): Omit<CommandPlace, 'tranId'> {
    const options = campbellOptions(device.options);
    return { baseTopic: options.baseTopic, address: device.address ?? '', dialect: dialectOf(options, report) };
  }

  /** Only who holds the lease asks, and only what the reports do not say. */
  async #ask(watched: readonly Watched[], request: ObserveRequest): Promise<void> {
    const { clock } = this.#ports;
    await askLoggers(watched, {
      clock,
      signal: request.signal,
      openSince: (device) => request.openSince?.(device) ?? null,
      busOf: ({ device, report }) => this.#sessions.get(whereabouts(device, report))?.bus ?? null,
      isBusy: ({ device, report }) => takenUp(device, report, this.#momentOf(device)) !== null,
      tranId: () => this.#nextTranId(),
    });
  }

  #nextTranId(): string {
    this.#said += 1;
    return `ask-${this.#ports.clock.now().toString(36)}-${this.#said}`;
  }

  /** Commands that are answered at once, each waited for: settings, constants, files. */
  async #apply(operation: Operation, order: SettingsOrder | FilesOrder, context: PerformContext): Promise<DriverOutcome> {
    const { clock } = this.#ports;
    const { device, signal } = context;
    const report = this.#reportOf(context);
    const bus = await unlessAborted(this.#ports.bus(whereabouts(device, report)), signal);
    const watched = this.#watchList.get(operation.device);
    const underWay = (sending: boolean): void => {
      if (watched !== undefined) watched.sentAt = sending ? clock.now() : null;
    };
    const talk = makeConversation({ bus, clock, place: this.#placeOf(device, report), tranId: () => this.#nextTranId(), signal, underWay });
    const applied = order.kind === 'settings' ? await applySettings(order, device, talk) : await deleteFiles(order, talk);
    if (applied.kind !== 'done') return applied;
    this.#ports.log.info('commands answered', { device: operation.device, step: operation.step });
    return { kind: 'performed', reference: clock.now(), undo: null };
  }

  close(): Promise<void> {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
    return Promise.resolve();
  }

  /** Listens on one connection; a wire that is broken is an answer, and what is known stays. */
  async #watch(connection: string, devices: readonly Watched[], signal: AbortSignal): Promise<ObserveAnswer['troubles'][number] | null> {
    try {
      const session = await unlessAborted(this.#session(connection), signal);
      await unlessAborted(
        session.watch(devices, () => this.#ports.clock.now(), signal),
        signal,
      );
      return null;
    } catch (error) {
      this.#sessions.get(connection)?.missed();
      if (error instanceof WireError) return { connection, code: error.code, message: error.message };
      if (signal.aborted) return { connection, code: 'ABORTED', message: 'observing was called off' };
      throw error;
    }
  }

  async #session(connection: string): Promise<Session> {
    const bus = await this.#ports.bus(connection);
    const known = this.#sessions.get(connection);
    if (known?.bus === bus) return known;
    known?.close();
    const session = new Session(bus, connection);
    this.#sessions.set(connection, session);
    return session;
  }

  /** Ends early when called off: what was heard by then counts. */
  async #listen(request: ObserveRequest): Promise<void> {
    try {
      await this.#ports.clock.sleep(request.listenMs, request.signal);
    } catch (error) {
      if (!request.signal.aborted) throw error;
    }
  }

  #collect(watched: readonly Watched[], { isOpen }: ObserveRequest): readonly ReportedDevice[] {
    const now = this.#ports.clock.now();
    const changed: ReportedDevice[] = [];
    for (const one of watched) {
      const since = Math.max(...connectionsOf(one.device).map((name) => this.#sessions.get(name)?.since ?? Number.POSITIVE_INFINITY));
      const known = decayOnline(one.report, one.options, now);
      const counted = isOpen(one.device.id) ? countSilence(known, { since, now }) : known;
      const report = withAskedItems(counted, one.device);
      if (!one.dirty && report === one.report) continue;
      one.report = report;
      one.dirty = false;
      changed.push(report);
    }
    return changed.toSorted((a, b) => compareText(a.device, b.device));
  }

  /** The newest there is: what arrived since the pass began is in the watch list already. */
  #reportOf(context: PerformContext): ReportedDevice {
    return this.#watchedOf(context.device)?.report ?? context.reported ?? emptyReport(context.device.id);
  }

  /** Why no command can be sent to it now; null when one can. */
  #closed(device: DeclaredDevice, report: ReportedDevice): Refusal | null {
    return closedTo(device, report, this.#momentOf(device));
  }

  #momentOf(device: DeclaredDevice): Moment {
    return { now: this.#ports.clock.now(), sentAt: this.#watchList.get(device.id)?.sentAt ?? null };
  }

  #watchedOf(device: DeclaredDevice): Watched | null {
    const watched = this.#watchList.get(device.id);
    return watched !== undefined && watched.device.hardware === device.hardware ? watched : null;
  }

  async #urlOf(
    operation: Operation,
    facts: CommandFacts,
    request: { readonly content: Content; readonly signal: AbortSignal },
  ): Promise<string | DriverOutcome> {
    const expiresMs = URL_MARGIN_MS + facts.lostAfterMs;
    const found = await this.#ports.artifacts.urlFor(request.content, { device: operation.device, expiresMs }, request.signal);
    return found.ok ? found.value : outcomeOf(found.error);
  }

  /** Fetching the artifact may have taken a while: the logger must still be there, and nobody else at it. */
  async #send(
    operation: Operation,
    context: PerformContext,
    command: { readonly topic: string; readonly payload: Uint8Array },
  ): Promise<DriverOutcome> {
    if (context.signal.aborted)
      return { kind: 'trouble', code: 'ABORTED', evidence: 'called off before the command was sent', retry: 'later' };
    try {
      const report = this.#reportOf(context);
      const bus = await unlessAborted(this.#ports.bus(whereabouts(context.device, report)), context.signal);
      const refused = this.#closed(context.device, report);
      if (refused !== null) return refused;
      const expiry = bus.expires ? { expirySeconds: COMMAND_EXPIRY_MS / SECOND_MS } : {};
      const watched = this.#watchList.get(operation.device);
      if (watched !== undefined) watched.sentAt = this.#ports.clock.now();
      await bus.publish(command.topic, command.payload, { qos: 0, retain: false, ...expiry });
    } catch (error) {
      if (error instanceof WireError) return { kind: 'trouble', code: error.code, evidence: error.message, retry: error.retry };
      if (context.signal.aborted)
        return { kind: 'trouble', code: 'ABORTED', evidence: 'called off while the command was sent', retry: 'later' };
      throw error;
    }
    this.#ports.log.info('command sent', { device: operation.device, topic: command.topic });
    return { kind: 'performed', reference: this.#ports.clock.now(), undo: null };
  }
}

/** During a move both sides are read (FLEET-REPO.md, Fleet). */
function connectionsOf(device: DeclaredDevice): readonly string[] {
  return device.via.to === null ? [device.via.connection] : [device.via.connection, device.via.to];
}

function outcomeOf(problem: ArtifactProblem): DriverOutcome {
  switch (problem.code) {
    case 'UNREACHABLE':
      return { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', evidence: problem.message, retry: 'later' };
    case 'NO_URL':
      return { kind: 'refused', reason: 'UNSUPPORTED', evidence: problem.message };
    case 'UNVERIFIED':
    case 'MISSING':
    case 'TOO_LARGE':
      return { kind: 'refused', reason: 'ARTIFACT_UNVERIFIED', evidence: problem.message };
  }
}
