import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { COMMANDS, FAIL_ON, readInputs } from '#action/inputs.ts';

interface Metadata {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>;
  readonly outputs: Readonly<Record<string, { readonly description: string }>>;
  readonly runs: { readonly using: string; readonly main: string };
}

const action = parse(readFileSync('action.yml', 'utf8')) as Metadata;
const guide = readFileSync('docs/operations/action.md', 'utf8');

/** Rows of the table below a heading: the cells as they stand. */
function tableOf(heading: string): readonly (readonly string[])[] {
  const [, section = ''] = guide.split(`\n## ${heading}\n`);
  const rows = (section.split('\n## ', 1)[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

const names = (rows: readonly (readonly string[])[]): readonly string[] => rows.map(([name = '']) => name.replaceAll('`', ''));

describe('action.yml', () => {
  it('runs the bundle with Node 24', () => {
    expect(action.runs).toEqual({ using: 'node24', main: 'dist/action.js' });
  });

  it('has the inputs that the code reads, with defaults that it takes', () => {
    const asked = new Set<string>();
    const read = readInputs((name) => {
      asked.add(name);
      return name === 'token' ? 'a-token' : (action.inputs[name]?.default ?? '');
    });
    expect(read.ok).toBe(true);
    expect([...asked].toSorted()).toEqual(Object.keys(action.inputs).toSorted());
    expect(read.ok && [...read.value.failOn].join(', ')).toBe(action.inputs['fail-on']?.default);
  });

  it('names each command and each thing that can fail a step', () => {
    for (const command of COMMANDS) expect(action.inputs['command']?.description).toContain(`${command}:`);
    for (const name of FAIL_ON) expect(action.inputs['fail-on']?.description).toContain(name);
  });

  it('is told in the guide, input for input and output for output', () => {
    const inputs = tableOf('Inputs');
    expect(names(inputs)).toEqual(Object.keys(action.inputs));
    for (const [name = '', value = ''] of inputs) {
      expect(value.replaceAll('`', '')).toBe(action.inputs[name.replaceAll('`', '')]?.default ?? '');
    }
    expect(names(tableOf('Outputs'))).toEqual(Object.keys(action.outputs));
    expect(names(tableOf('What fails the step'))).toEqual([...FAIL_ON]);
  });
});
