import { describe, expect, it } from 'vitest';
import { isPersonal, parseTemplate, resolve } from './references.ts';

const FACTS = { id: 'van-01', model: 'T1', serial: null, series: '01.09', labels: { depot: 'leeds' }, values: { tip: '0.2' } };

describe('references', () => {
  it.each([
    ['plain', 'plain'],
    ['', ''],
    ['files/${id}-${model}.json', 'files/van-01-T1.json'],
    ['${series}/${label:depot}/${value:tip}', '01.09/leeds/0.2'],
    ['$id {x} $$ }', '$id {x} $$ }'],
  ])('%j is %j', (source, text) => {
    const { template, problems } = parseTemplate(source);
    expect(problems).toEqual([]);
    expect(resolve(template, FACTS)).toEqual({ text, missing: [] });
  });

  it.each(['${serial}', '${label:ring}', '${value:x}', '${value:toString}', '${env:HOME}', '${file:/etc/passwd}', '${age:a.age}'])(
    '%s has no value here',
    (source) => {
      const { template, problems } = parseTemplate(`a/${source}/b`);
      expect(problems).toEqual([]);
      expect(resolve(template, FACTS)).toMatchObject({ text: 'a//b', missing: [{ source, offset: 2 }] });
    },
  );

  it.each([
    ['${', 0],
    ['abc ${id', 4],
    ['${}', 0],
    ['x${Id}', 1],
    ['${label}', 0],
    ['${label:}', 0],
    ['${value:a b}', 0],
    ['${age:}', 0],
    ['${age:${env:X}}', 0],
    ['${age:x/${age:y}}', 8],
    ['${id}${nothing}', 5],
  ])('%j cannot be understood, at %d', (source, offset) => {
    expect(parseTemplate(source).problems.map((problem) => problem.offset)).toEqual([offset]);
  });

  it('survives nesting that would end the stack', () => {
    expect(parseTemplate('${age:'.repeat(100_000) + '}'.repeat(100_000)).problems.length).toBeGreaterThan(0);
  });

  it('nests plain ones within a path', () => {
    const { template, problems } = parseTemplate('${age:secrets/${id}.age}');
    expect(problems).toEqual([]);
    const [reference] = template.references;
    expect(reference?.kind === 'age' && resolve(reference.path, FACTS).text).toBe('secrets/van-01.age');
  });

  it.each([
    ['files/base-${series}.json', false],
    ['${model}', false],
    ['${age:secrets/wifi.age}', false],
    ['${age:secrets/${id}.age}', true],
    ['${label:depot}', true],
    ['${value:x}', true],
    ['${serial}', true],
    ['plain', false],
  ])('%j tells devices apart: %j', (source, personal) => {
    expect(isPersonal(parseTemplate(source).template)).toBe(personal);
  });
});
