import { describe, expect, it } from 'vitest';
import { emptyReport } from '#model/reported.ts';
import { reportedFor } from '#observe/reported.ts';
import { syntheticDeclared, syntheticReports } from '#test/support/synthetic.ts';
import { unreadDevices } from './unread.ts';

const declared = syntheticDeclared({ devices: 3, groups: 1 });
const [{ via, family }, second] = [declared.deviceAt(0), declared.deviceAt(1)];
const all = [0, 1, 2].map((row) => declared.deviceAt(row).id);
const reports = syntheticReports(declared, { share: 1, version: '1.0.0' });
const message = 'no route';

describe('unreadDevices', () => {
  it('are all those behind a connection that broke before it was ever read, with each reason once', () => {
    const troubles = ['UNREACHABLE', 'NOT_AUTHORISED', 'UNREACHABLE'].map((code) => ({ connection: via.connection, code, message }));
    const expected = [{ connection: via.connection, codes: ['NOT_AUTHORISED', 'UNREACHABLE'], devices: all }];
    expect(unreadDevices(declared, reportedFor(declared, []), troubles)).toEqual(expected);
  });

  it('are not those that have a last report', () => {
    const reported = reportedFor(
      declared,
      reports.filter(({ device }) => device !== second.id),
    );
    const [found] = unreadDevices(declared, reported, [{ connection: via.connection, code: 'UNREACHABLE', message }]);
    expect(found?.devices).toEqual([second.id]);
    expect(unreadDevices(declared, reportedFor(declared, reports), [{ connection: via.connection, code: 'UNREACHABLE', message }])).toEqual(
      [],
    );
  });

  it('are those of which a driver only noted what it has still to ask, not those that somebody looked at in vain', () => {
    const unknown = { kind: 'unknown', why: 'NEVER_REPORTED', detail: 'not asked yet', source: 'mqtt' } as const;
    const [noted, looked] = [{ hardware: 'box' }, { lookedAt: 1, hardware: 'box' }].map((memo, row) => {
      return { ...emptyReport(declared.deviceAt(row).id), items: { settings: unknown }, memo };
    });
    const reported = reportedFor(
      declared,
      [noted, looked].filter((report) => report !== undefined),
    );
    const [found] = unreadDevices(declared, reported, [{ connection: via.connection, code: 'UNREACHABLE', message }]);
    expect(found?.devices).toEqual([declared.deviceAt(0).id, declared.deviceAt(2).id]);
  });

  it('are not those that never reported although their connection works', () => {
    expect(unreadDevices(declared, reportedFor(declared, []), [])).toEqual([]);
    expect(unreadDevices(declared, reportedFor(declared, []), [{ connection: 'elsewhere', code: 'UNREACHABLE', message }])).toEqual([]);
  });

  it('are those of a family whose driver broke as a whole', () => {
    const [found] = unreadDevices(declared, reportedFor(declared, []), [{ connection: family, code: 'STOPPED', message }]);
    expect(found).toMatchObject({ codes: ['STOPPED'], devices: all });
  });
});
