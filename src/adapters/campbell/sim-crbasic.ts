/** What a simulated logger makes of the text of a program: as much of CRBasic as its behaviour depends on. */
export interface Program {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Constants of its ConstTable, by name (docs/protocols/campbell-mqtt.md §5.8). */
  readonly constants: ReadonlyMap<string, string>;
  /** Public variables and their first values (§5.9). */
  readonly variables: ReadonlyMap<string, string>;
  /** Whether it turns the switched 12 V on, which may power the modem (§9.3). */
  readonly switchesPowerOn: boolean;
}

/** Compiles a file: null when it does not compile. Constants that were edited count in place of those in the text. */
export function compileProgram(name: string, bytes: Uint8Array, edited: ReadonlyMap<string, string>): Program | null {
  const text = new TextDecoder('latin1').decode(bytes);
  // The least that every CRBasic program has, and no error page.
  if (!/^\s*BeginProg\b/im.test(text) || !/^\s*EndProg\b/im.test(text)) return null;
  const written = constantsOf(text);
  for (const [constant, value] of edited) {
    const before = written.get(constant);
    if (before !== undefined && isNumber(before) && !isNumber(value)) return null;
  }
  const constants = new Map([...written].map(([constant, value]) => [constant, edited.get(constant) ?? value]));
  return { name, bytes, constants, variables: variablesOf(text), switchesPowerOn: /^\s*SW12\s*\(/im.test(text) };
}

export function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text));
}

/** `Const NAME = value` between `ConstTable` and `EndConstTable`. */
function constantsOf(text: string): ReadonlyMap<string, string> {
  const [, table = ''] = /^\s*ConstTable\b([\s\S]*?)^\s*EndConstTable\b/im.exec(text) ?? [];
  return new Map(
    [...table.matchAll(/^\s*Const\s+([A-Za-z_]\w*)\s*=\s*(.+?)\s*$/gim)].map(([, name = '', value = '']) => [name, unquoted(value)]),
  );
}

function unquoted(value: string): string {
  return value.replace(/^"(.*)"$/, '$1');
}

/** `Public A, B As String`: texts begin empty, numbers at 0. Arrays and their sizes are left out. */
function variablesOf(text: string): ReadonlyMap<string, string> {
  const lines = [...text.matchAll(/^\s*Public\s+(.+?)\s*$/gim)].map(([, list = '']) => list);
  const entries = lines.flatMap((list) => list.split(',').map((one) => one.trim()));
  return new Map(
    entries.flatMap((entry): (readonly [string, string])[] => {
      const [, name, type = ''] = /^([A-Za-z_]\w*)(?:\s+As\s+(\w+).*)?$/i.exec(entry) ?? [];
      return name === undefined ? [] : [[name, type.toLowerCase() === 'string' ? '' : '0']];
    }),
  );
}
