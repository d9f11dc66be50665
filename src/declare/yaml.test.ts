import { describe, expect, it } from 'vitest';
import { placeText } from '#kit/diagnostics.ts';
import { eachText, placeIn, placeWithin, plain } from './nodes.ts';
import { makeReport } from './report.ts';
import { readYaml } from './yaml.ts';

function read(text: string) {
  const report = makeReport();
  const nodes = readYaml('f.yaml', text, report);
  return { nodes, data: nodes.map(plain), told: report.list().map(({ code, place }) => `${code} ${placeText(place)}`) };
}

describe('readYaml', () => {
  it('takes every scalar as text', () => {
    const { data, told } = read('a: 01.09\nb: no\nc: 77E86312\nd: 2027-03-01\ne:\nf: ~\ng: 0x1F\nh: "1"\ni: |\n  x\n  y\n');
    expect(told).toEqual([]);
    expect(data).toEqual([{ a: '01.09', b: 'no', c: '77E86312', d: '2027-03-01', e: '', f: '~', g: '0x1F', h: '1', i: 'x\ny\n' }]);
  });

  it('reads several documents and passes over empty ones', () => {
    expect(read('# only a remark\n---\na: 1\n---\n---\nb: 2\n...\n').data).toEqual([{ a: '1' }, { b: '2' }]);
  });

  it('does not switch to YAML 1.1 when a file says so', () => {
    expect(read('%YAML 1.1\n---\na: yes\nb: 012\n').data).toEqual([{ a: 'yes', b: '012' }]);
  });

  it('shares what an alias names, and takes `<<` as a key like any other', () => {
    expect(read('a: &x { k: v }\nb: *x\n<<: *x\n').data).toEqual([{ a: { k: 'v' }, b: { k: 'v' }, '<<': { k: 'v' } }]);
  });

  it('keeps `__proto__` as a key', () => {
    const [data] = read('__proto__: { polluted: 1 }\n').data;
    expect(Object.keys(data as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('reads the other documents of a file in which one is broken', () => {
    const { data, told } = read('a: 1\n---\nb: 1\nb: 2\n---\nc: 3\n');
    expect(data).toEqual([{ a: '1' }, { c: '3' }]);
    expect(told).toEqual(['DUPLICATE_KEY f.yaml:4:1']);
  });

  it.each([
    ['a:\n\tb: 1\n', 'TAB f.yaml:2:1'],
    ['a: [1, 2\n', 'YAML_SYNTAX f.yaml:2:1'],
    ['a: "x\n', 'YAML_SYNTAX f.yaml:2:1'],
    ['a: 1\n b: 2\n', 'YAML_SYNTAX f.yaml:1:4'],
    ['a: *x\n', 'YAML_ALIAS f.yaml:1:4'],
    ['a: &x [*x]\n', 'YAML_ALIAS f.yaml:1:8'],
    ['? [a, b]\n: c\n', 'YAML_KEY f.yaml:1:3'],
    ['- a\n', 'WRONG_TYPE f.yaml:1:1'],
    ['just text\n', 'WRONG_TYPE f.yaml:1:1'],
    ['a: !ruby/object x\n', 'YAML_TAG f.yaml:1:4'],
    [`a: ${'['.repeat(60)}${']'.repeat(60)}\n`, 'YAML_TOO_DEEP f.yaml:1:52'],
  ])('tells one mistake, at its place, of %j', (text, told) => {
    expect(read(text).told).toEqual([told]);
  });

  it('survives nesting that would end the stack', () => {
    expect(read('['.repeat(200_000)).told).toHaveLength(1);
    expect(read('{a: '.repeat(50_000)).told).toHaveLength(1);
    expect(read('- '.repeat(50_000)).told).toHaveLength(1);
  });

  it('tells both places of a key that is there twice', () => {
    const report = makeReport();
    readYaml('f.yaml', 'a: 1\nb: 2\na: 3\n', report);
    expect(report.list()).toMatchObject([{ place: { line: 3, column: 1 }, also: [{ line: 1, column: 1 }] }]);
  });

  it('refuses an alias bomb at the alias that is too much, however it is spelt', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
    const lines = names.map(
      (name, index) => `${name}: &${name} [${index === 0 ? 'x,'.repeat(9) : `*${names[index - 1] ?? ''},`.repeat(9)}]`,
    );
    expect(read(lines.join('\n')).told).toEqual(['ALIAS_BOMB f.yaml:5:8']);
  });
});

describe('places', () => {
  const [node] = readYaml(
    'f.yaml',
    'top:\n  list:\n    - { k: "a ${x}" }\n    - plain ${y}\n  empty:\n  folded: >\n    a ${z}\n',
    makeReport(),
  );
  if (node === undefined) throw new Error('not read');
  const document = { file: 'f.yaml', node, data: null };

  it.each([
    [['top'], '2:3'],
    [['top', 'list', 0, 'k'], '3:12'],
    [['top', 'list', 1], '4:7'],
    [['top', 'empty'], '5:3'],
    [['top', 'nothing', 'below'], '2:3'],
  ])('of %j', (path, place) => {
    const { line, column } = placeIn('f.yaml', node, path);
    expect(`${line}:${column}`).toBe(place);
  });

  it('reach into a scalar that is written as it is, and stay at the head of one that is not', () => {
    expect(placeWithin(document, ['top', 'list', 0, 'k'], 2).column).toBe(15);
    expect(placeWithin(document, ['top', 'list', 1], 6).column).toBe(13);
    expect(placeWithin(document, ['top', 'folded'], 2)).toMatchObject({ line: 6, column: 11 });
  });

  it('name each text with its path', () => {
    const seen: string[] = [];
    eachText(node, (text, path) => seen.push(`${path.join('.')}=${text.text.trim()}`));
    expect(seen).toEqual(['top.list.0.k=a ${x}', 'top.list.1=plain ${y}', 'top.empty=', 'top.folded=a ${z}']);
  });
});
