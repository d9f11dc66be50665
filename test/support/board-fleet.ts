import { declaredMongoose } from '#adapters/mongoose/sim-declared.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { deviceId } from '#model/ids.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { Wires } from '#ports/wires.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { openWorld } from '#world.ts';
import { declaredFiles, filesOf, FIRST, KIND_NAMES, named, type Board, type Declaration, type Kind } from './board-files.ts';
import { MemoryFleet } from './memory-fleet.ts';

const WELL = 90_000;
const SICK = 9000;
/** As `apply --watch` would. */
export const EVERY_MS = 2 * MINUTE_MS;

/** What Headgate told a board, with what was true of the board at that instant. */
export interface Told {
  readonly at: number;
  readonly board: string;
  readonly what: 'url' | 'update' | 'commit' | 'revert';
  readonly url: string | null;
}

/** Thrown by a checkpoint: the process ends there. */
class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

interface Hardware {
  readonly device: SimDevice;
  readonly address: string;
  readonly kind: Kind;
  readonly measures: Record<string, number>;
  /** By what the board itself published; downloads that are over. */
  isAtIt: boolean;
  downloads: number;
  /** It could not say how it is since then: nobody can know. */
  dumb: boolean;
  /** URLs that it has stored, by its own word. */
  readonly stored: Set<string>;
  readonly called: Set<string>;
}

interface Parts {
  readonly fleet: MemoryFleet;
  readonly cut: BoardFleet['crash'];
  readonly hear: BoardFleet['hear'];
  wires(wires: Wires): Wires;
}

/** Boards of several kinds with the whole engine in this process; every word that Headgate says to a board is heard here. */
export class BoardFleet {
  readonly fleet: MemoryFleet;
  readonly boards = new Map<string, Hardware>();
  readonly told: Told[] = [];
  declared = FIRST;
  last: PassReport | null = null;
  readonly #cut: { at: 'appended' | 'performed' | null };
  readonly #hear: (told: Told, fleet: BoardFleet) => void;
  readonly #wires: (wires: Wires) => Wires;
  #approvals = 0;

  private constructor({ fleet, cut, hear, wires }: Parts) {
    this.fleet = fleet;
    this.#cut = cut;
    this.#hear = hear;
    this.#wires = wires;
  }

  /** Boards with 1.0.0, settled, and a ledger. `hear` is called for each word to a board before the board has it. */
  static async start(
    { boards, slots }: { readonly boards: readonly Board[]; readonly slots: number },
    hear: BoardFleet['hear'],
  ): Promise<BoardFleet> {
    const cut: BoardFleet['crash'] = { at: null };
    const checkpoint = (at: 'appended' | 'performed') => (): void => {
      if (cut.at !== at) return;
      cut.at = null;
      throw new PowerCut(at);
    };
    const calls: { heard: (topic: string, payload: Uint8Array) => void } = { heard: () => undefined };
    const wires = (own: Wires): Wires => watched(own, (topic, payload) => calls.heard(topic, payload));
    const memory = await MemoryFleet.start({
      files: filesOf(boards, slots),
      wires,
      nextPassMs: EVERY_MS,
      checkpoints: { appended: checkpoint('appended'), performed: checkpoint('performed') },
    });
    const fleet = new BoardFleet({ fleet: memory, cut, hear, wires });
    fleet.declared = { ...FIRST, slots };
    calls.heard = (topic, payload) => fleet.#called(topic, payload);
    memory.sim.broker('field').onPublish((topic, payload, clientId) => fleet.#listen(topic, payload, clientId));
    for (const [name, board] of named(boards)) await fleet.#add(name, board);
    await memory.clock.advance(MINUTE_MS);
    await fleet.pass({ newLedger: true });
    return fleet;
  }

  get crash(): { at: 'appended' | 'performed' | null } {
    return this.#cut;
  }

  get hear(): (told: Told, fleet: BoardFleet) => void {
    return this.#hear;
  }

  board(name: string): Hardware {
    const found = this.boards.get(name);
    if (found === undefined) throw new RangeError(`no board ${name}`);
    return found;
  }

  /** In a trial, fetching or writing a firmware, or on its way back from that. */
  isBusy(name: string): boolean {
    const { device, isAtIt, downloads } = this.board(name);
    return device.powered && (triesIn(device) !== null || isAtIt || countOf(device, 'download') > downloads);
  }

  isSick(name: string): boolean {
    return this.board(name).measures['ram_free'] === SICK;
  }

  sicken(name: string, sick: boolean): void {
    this.board(name).measures['ram_free'] = sick ? SICK : WELL;
  }

  commit(change: Partial<Declaration>): void {
    this.declared = { ...this.declared, ...change };
    this.fleet.repo.commit(declaredFiles(this.declared, this.kinds), `As of ${this.fleet.clock.now()}`);
  }

  /** What a person who has looked writes of each group: that it may go on, and that each board may try again. */
  approve(): void {
    const { groups } = this.fleet.declared;
    const texts = [...groups.values()].flatMap(({ name, release }) => {
      const again = [...this.boards].filter(([, { kind }]) => kind === String(name)).map(([board]) => board);
      const head = `kind: Approval\ngroup: ${name}\nrelease: "${release.id.slice(0, 12)}"\nreason: looked at, ${this.#approvals}\n`;
      return [`${head}unblock: true\n`, `${head}again: [${again.join(', ')}]\n`];
    });
    this.#approvals += 1;
    this.fleet.repo.commit({ 'approvals/all.yaml': texts.join('---\n') }, 'Go on');
  }

  get kinds(): readonly Kind[] {
    return KIND_NAMES.filter((kind) => [...this.boards.values()].some((board) => board.kind === kind));
  }

  fault(name: string, fault: string, value: boolean | number | string): void {
    const board = this.board(name);
    board.device.fault(fault, value);
    if (fault === 'mute' && value !== false) board.dumb = true;
  }

  async power(name: string, on: boolean): Promise<void> {
    const board = this.board(name);
    if (!on) this.#rests(board);
    await this.fleet.clock.run(on ? board.device.powerOn() : board.device.powerOff());
  }

  drop(name: string): void {
    this.fleet.sim.broker('field').dropClient(this.board(name).address);
  }

  async pass(options: { readonly newLedger?: boolean } = {}): Promise<void> {
    try {
      this.last = await this.fleet.pass(options);
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.last = null;
      await this.fleet.restart();
    }
  }

  /** Two processes at the same time, as two runners that were started together. */
  async race(): Promise<void> {
    const { clock, sim, ledger, repo } = this.fleet;
    const opened = openWorld({ repo: '.', env: {}, clock, wires: this.#wires(sim.wires), ledger, checkpoints: {}, holder: 'rival' });
    const rival = { ...opened, source: repo };
    const theirs = clock.run(runPass(rival, makeDeclareState(), { mode: 'apply', nextPassMs: EVERY_MS }));
    await Promise.all([this.pass(), theirs]);
    await clock.run(rival.close());
  }

  async #add(name: string, { kind, slow }: Board): Promise<void> {
    const { declared, sim, clock } = this.fleet;
    const row = declared.rowOf(deviceId(name));
    if (row === undefined) throw new RangeError(`${name} is not declared`);
    const declaredBoard = declared.deviceAt(row);
    const measures = { ram_free: WELL };
    const timings = slow ? { bytesPerSecond: 600, bootMs: 20 * SECOND_MS } : {};
    const hardware = { ...declaredMongoose(declaredBoard, {}), measures, timings };
    const device = sim.addDevice('mongoose', { connection: 'field', name }, hardware);
    this.boards.set(name, {
      device,
      kind,
      measures,
      address: hardware.id,
      isAtIt: false,
      downloads: 0,
      dumb: false,
      stored: new Set(),
      called: new Set(),
    });
    await clock.run(device.powerOn());
  }

  #rests(board: Hardware): void {
    board.isAtIt = false;
    board.downloads = countOf(board.device, 'download');
  }

  #listen(topic: string, payload: Uint8Array, clientId: string): void {
    for (const [name, board] of this.boards) {
      const { address } = board;
      if (clientId === address && topic === `$aws/things/${address}/shadow/update`) this.#said(board, otaIn(payload, 'reported'));
      else if (topic === `$aws/things/${address}/shadow/update`) this.#offered(name, payload);
    }
  }

  /** What the board says of itself. */
  #said(board: Hardware, ota: Readonly<Record<string, unknown>> | null): void {
    if (ota === null) return;
    const { url, status, fw_version: version } = ota;
    if (typeof url === 'string') board.stored.add(url);
    if (typeof version === 'string') board.dumb = false;
    if (status === 1 || status === 3) board.isAtIt = true;
    if (status === 0 || status === 2) this.#rests(board);
  }

  /** The service has not taken it yet; a write of an older version it never does. */
  #offered(name: string, payload: Uint8Array): void {
    const { version } = objectIn(payload);
    const thing = this.board(name).address;
    const now = this.fleet.sim.aws('field').shadows.contentOf({ thing, shadow: null })?.version;
    const url = otaIn(payload, 'desired')?.['url'];
    if (typeof url === 'string' && (version === undefined || version === now)) this.#tell(name, 'url', url);
  }

  #called(topic: string, payload: Uint8Array): void {
    const name = [...this.boards].find(([, { address }]) => topic === `${address}/rpc`)?.[0];
    if (name === undefined) return;
    const { method, params } = objectIn(payload);
    const url = typeof params === 'object' && params !== null && 'url' in params ? params.url : null;
    if (method === 'OTA.Update') this.#tell(name, 'update', typeof url === 'string' ? url : null);
    if (method === 'OTA.Commit') this.#tell(name, 'commit', null);
    if (method === 'OTA.Revert') this.#tell(name, 'revert', null);
  }

  #tell(board: string, what: Told['what'], url: string | null): void {
    const told: Told = { at: this.fleet.clock.now(), board, what, url };
    this.told.push(told);
    this.#hear(told, this);
    if (url !== null) this.board(board).called.add(url);
  }
}

/** The firmware that a board tries, null for none. */
export function triesIn(device: SimDevice): string | null {
  const { firmware = '' } = device.truth();
  return firmware.endsWith(' (on trial)') ? firmware.slice(0, -' (on trial)'.length) : null;
}

/** Each message of Headgate is heard before it goes out. */
function watched(wires: Wires, hear: (topic: string, payload: Uint8Array) => void): Wires {
  return { ...wires, bus: async (connection, session, signal) => watchedBus(await wires.bus(connection, session, signal), hear) };
}

function watchedBus(bus: MessageBus, hear: (topic: string, payload: Uint8Array) => void): MessageBus {
  return {
    clientId: bus.clientId,
    expires: bus.expires,
    subscribe: (filters, qos) => bus.subscribe(filters, qos),
    publish: (topic, payload, options) => {
      hear(topic, payload);
      return bus.publish(topic, payload, options);
    },
    listen: (listener) => bus.listen(listener),
    settle: (signal) => bus.settle(signal),
    ...(bus.unsubscribe === undefined ? {} : { unsubscribe: (filters) => bus.unsubscribe?.(filters) ?? Promise.resolve() }),
    ...(bus.onLost === undefined ? {} : { onLost: (listener) => bus.onLost?.(listener) }),
    ...(bus.onRestored === undefined ? {} : { onRestored: (listener) => bus.onRestored?.(listener) }),
    close: () => bus.close(),
  };
}

function countOf({ effects }: SimDevice, kind: string): number {
  return effects.filter((effect) => effect.kind === kind).length;
}

function objectIn(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function otaIn(payload: Uint8Array, section: 'reported' | 'desired'): Readonly<Record<string, unknown>> | null {
  const at = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  const state = at(at(objectIn(payload), 'state'), section);
  const ota = at(state, 'ota');
  return typeof ota === 'object' && ota !== null ? (ota as Readonly<Record<string, unknown>>) : flatIn(at.bind(null, state));
}

/** Members beside each other, as a board of 2017 has them; one that tells its URL alone has just connected, or begins. */
function flatIn(member: (key: string) => unknown): Readonly<Record<string, unknown>> | null {
  const [url, code, message] = ['ota_url', 'ota_code', 'ota_message'].map(member);
  if (typeof code === 'number') return { status: message === 'progress' ? 1 : code > 0 ? 3 : code < 0 ? 2 : 0 };
  return typeof url === 'string' ? { url, status: 0 } : null;
}
