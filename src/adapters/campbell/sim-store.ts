import { osFamily, osVersionText, parseOsVersion } from './os-version.ts';
import { compileProgram, type Program } from './sim-crbasic.ts';
import { SettingsTable, type LinkKeys } from './sim-settings.ts';
import { csiSignature, EMPTY_SIGNATURE, NO_PROGRAM } from './wire.ts';

interface File {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface StoreOptions {
  readonly model: string;
  readonly os: string;
  readonly program: File | null;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** A program that powerup.ini of a card starts at every start; null without a card. CR300 and CR350 read none. */
  readonly card: File | null;
  readonly settings: Readonly<Record<string, string>>;
  readonly keys: LinkKeys;
}

const FORCED_ERROR = 1;
/** Records of the data table that are kept for historicData. */
const MOST_RECORDS = 1000;

/** What lies in a logger's flash and survives power: the OS, the files of CPU:, settings, what runs when it starts. */
export class LoggerStore {
  readonly model: string;
  /** As the logger writes it: `CR1000X.Std.08.01`. */
  os: string;
  readonly files = new Map<string, Uint8Array>();
  /** The file marked run-on-power-up. */
  powerUp: string | null = null;
  compileErrors = 0;
  compileResults = 'No Program';
  watchdogErrors = 0;
  watchdogEvents = 0;
  /** When the program was started, in ms since 1970. */
  startedAt = 0;
  readonly settings: SettingsTable;
  /** Values of the running program: constants in force and public variables. */
  readonly constants = new Map<string, string>();
  readonly variables = new Map<string, string>();
  /** What the data table holds, oldest first (docs/protocols/campbell-mqtt.md §5.10). */
  readonly records: { readonly time: string; readonly vals: readonly number[] }[] = [];
  readonly #card: File | null;
  readonly #edited = new Map<string, string>();
  #program: Program | null = null;

  constructor(options: StoreOptions) {
    this.model = options.model;
    this.os = options.os;
    this.settings = new SettingsTable(options.settings, options.keys);
    this.#card = ['CR300', 'CR350'].includes(osFamily(options.model)) ? null : options.card;
    for (const [name, bytes] of Object.entries(options.files)) this.files.set(name, bytes);
    if (options.program !== null) {
      this.files.set(options.program.name, options.program.bytes);
      this.powerUp = options.program.name;
    }
    this.start();
  }

  /** The name of what runs, on CPU: unless it came from a card. */
  get running(): string | null {
    return this.#program?.name ?? null;
  }

  /** Whether what runs powers a modem that hangs on SW12 (§9.3). */
  get switchesPowerOn(): boolean {
    return this.#program?.switchesPowerOn ?? false;
  }

  /** A file arrives: it is marked run-now and run-on-power-up, constants edited for the one before are gone (§5.2). */
  load(name: string, bytes: Uint8Array): void {
    this.files.set(name, bytes);
    this.powerUp = name;
    this.#edited.clear();
    this.erase();
  }

  erase(): void {
    this.records.length = 0;
  }

  keep(record: { readonly time: string; readonly vals: readonly number[] }): void {
    this.records.push(record);
    if (this.records.length > MOST_RECORDS) this.records.shift();
  }

  /**
   * Compiles what is to run (§9.4): what powerup.ini of a card names, the file marked run-on-power-up, the Include File,
   * `default.*` of CPU:, then nothing. The program of before is never brought back.
   */
  start(forceError = false, at = 0): void {
    this.#stopped();
    if (this.#card !== null) {
      const program = this.#compile(this.#card.name, this.#card.bytes);
      if (program !== null) return this.#run(program, at);
    }
    const marked = this.powerUp === null ? undefined : this.files.get(this.powerUp);
    if (this.powerUp !== null && marked !== undefined) {
      const program = forceError ? null : this.#compile(this.powerUp, marked);
      if (program !== null) return this.#run(program, at);
      this.compileErrors = FORCED_ERROR;
      this.compileResults = `CPU:${this.powerUp} -- Compile Failed!`;
    }
    const fallback = this.#fallback();
    if (fallback !== null) return this.#run(fallback, at);
    if (this.powerUp === null) this.compileErrors = 1;
  }

  /** `run now` of a file (§5.5), not marked for power-up. */
  runNow(name: string, at: number): void {
    const bytes = this.files.get(name);
    this.#stopped();
    const program = bytes === undefined ? null : this.#compile(name, bytes);
    if (program !== null) this.#run(program, at);
  }

  /** §5.5 `stop`: nothing runs until something is started. */
  stop(): void {
    this.#stopped();
  }

  /** New values of constants of the running program; they count when it is compiled again (§5.8). */
  editConstants(values: ReadonlyMap<string, string>): void {
    for (const [name, value] of values) this.#edited.set(name, value);
  }

  get signature(): number {
    return this.#program === null ? EMPTY_SIGNATURE : csiSignature(this.#program.bytes);
  }

  /** Of the compiled program: knows no comments, changes with the OS (§8.4). */
  get runSignature(): number {
    if (this.#program === null) return EMPTY_SIGNATURE;
    const bare = new TextDecoder('latin1').decode(this.#program.bytes).replaceAll(/'.*$/gm, '').replaceAll(/\s+/g, ' ');
    return csiSignature(new TextEncoder().encode(`${this.os}${bare}`));
  }

  /** The truth in the family's canonical texts. */
  truth(): Readonly<Record<string, string>> {
    const version = parseOsVersion(this.os);
    return {
      firmware: version === null ? this.os : osVersionText(version),
      program: this.running === null ? NO_PROGRAM : `CPU:${this.running}`,
    };
  }

  #compile(name: string, bytes: Uint8Array): Program | null {
    return compileProgram(name, bytes, this.#edited);
  }

  #stopped(): void {
    this.#program = null;
    this.compileErrors = 0;
    this.compileResults = 'No Program';
    this.constants.clear();
    this.variables.clear();
  }

  #run(program: Program, at: number): void {
    this.#program = program;
    this.compileErrors = 0;
    this.compileResults = `CPU:${program.name} -- Compiled in PipelineMode.`;
    this.watchdogErrors = 0;
    this.startedAt = at;
    for (const [name, value] of program.constants) this.constants.set(name, value);
    for (const [name, value] of program.variables) this.variables.set(name, value);
  }

  #fallback(): Program | null {
    const included = this.settings.value('IncludeFile').replace(/^CPU:/i, '');
    const defaults = [...this.files.keys()].filter((name) => /^default\.(CR1X|CR6|CR300|CRB|DLD)$/i.test(name)).toSorted();
    for (const name of [included, ...defaults]) {
      const bytes = this.files.get(name);
      const program = bytes === undefined ? null : this.#compile(name, bytes);
      if (program !== null) return program;
    }
    return null;
  }
}
