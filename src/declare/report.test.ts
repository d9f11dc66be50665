import { expect, it } from 'vitest';
import { makeReport } from './report.ts';

it('tells what devices share once, by its key where they stand at several places', () => {
  const report = makeReport();
  const place = (line: number) => ({ file: 'devices.yaml', line, column: 1 });
  const tell = (device: string, line: number, key: string): void =>
    report.perDevice('BAD_TEMPLATE', place(line), { device, summary: `${key} of ${device}`, key });
  tell('north-01', 6, 'firmware');
  tell('north-01', 6, 'config');
  tell('north-02', 7, 'firmware');
  expect(report.list().map(({ summary, detail, place: { line } }) => [summary, detail, line])).toEqual([
    ['config of north-01', undefined, 6],
    ['firmware of north-01', 'and the same for 1 more device', 6],
  ]);
});
