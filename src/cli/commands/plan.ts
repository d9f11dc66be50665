import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ReportedDevice } from '#model/reported.ts';
import { runPass } from '#reconcile/pass.ts';
import { planJson, savedPlanJson } from '#view/plan-json.ts';
import { planText } from '#view/plan-text.ts';
import type { PassReport, PassResult } from '#reconcile/report.ts';
import { planComment } from '#view/comment.ts';
import type { CommentOptions } from '#view/comment-options.ts';
import { parseReports } from '#world.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, jsonText, resultOf, withFleet } from '#cli/fleet.ts';
import type { Fleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';

export interface PlanFlags extends LookFlags {
  readonly base?: string;
  readonly at?: number;
  readonly reported?: string;
  readonly listen?: number;
  readonly out?: string;
  readonly comment?: string;
  readonly links?: string;
}

export function plan(context: CliContext, flags: PlanFlags): Promise<void> {
  const { cwd, signal } = context.cli;
  return withFleet(context, flags, async (fleet) => {
    const reports = flags.reported === undefined ? undefined : await readReports(resolve(cwd, flags.reported));
    const report = await runPass(fleet.world, fleet.state, {
      mode: 'plan',
      signal,
      ...(flags.ref === undefined ? {} : { ref: flags.ref }),
      ...(flags.base === undefined ? {} : { base: flags.base }),
      ...(flags.at === undefined ? {} : { at: flags.at }),
      ...(flags.listen === undefined ? {} : { listenMs: flags.listen }),
      ...(reports === undefined ? {} : { reports }),
    });
    const result = await resultOf(fleet, report, flags.ref);
    for (const { connection, code, message } of result.troubles) fleet.note(`${connection}: ${code} ${message}`);
    if (!flags.json) noteHazards(fleet, result);
    if (flags.out !== undefined) await savePlan(fleet, resolve(cwd, flags.out), jsonText(savedPlanJson(result.plan)));
    if (flags.comment !== undefined) await writeComment(fleet, flags.comment, { flags, cwd, report, result });
    fleet.out(flags.json ? jsonText(planJson(result)) : planText(result, fleet.paint));
    return report.exit;
  });
}

/** What is about to be done, and goes wrong some day: of items that the plan changes. */
function noteHazards(fleet: Fleet, { plan: { devices }, declared }: PassResult): void {
  const planned = new Set(devices.flatMap(({ operations }) => operations.map(({ item }) => item)));
  for (const { item, text } of declared.hazards ?? []) if (planned.has(item)) fleet.note(`hazard: ${text}`);
}

interface CommentRequest {
  readonly flags: PlanFlags;
  readonly cwd: string;
  readonly report: PassReport;
  readonly result: PassResult;
}

/** The comment of a pull request as a file; links are as `--links` says, or none. */
async function writeComment(fleet: Fleet, file: string, { flags, cwd, report, result }: CommentRequest): Promise<void> {
  const path = resolve(cwd, file);
  const links = linksFrom(flags.links ?? null);
  await writeFile(path, planComment(result, { links, diagnostics: report.diagnostics, troubles: result.troubles }));
  fleet.note(`the comment is in ${path}`);
}

/** `https://git.example.org/fleet/-/blob/main/{file}#L{line}` filled in. */
function linksFrom(template: string | null): CommentOptions['links'] {
  if (template === null) return () => null;
  return ({ file, line }) =>
    template.replaceAll('{file}', () => file.split('/').map(encodeURIComponent).join('/')).replaceAll('{line}', String(line));
}

async function savePlan(fleet: Fleet, path: string, text: string): Promise<void> {
  await writeFile(path, `${text}\n`);
  fleet.note(`saved to ${path}: \`headgate apply ${path}\` applies exactly this, or refuses`);
}

async function readReports(path: string): Promise<readonly ReportedDevice[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new CliTrouble('NOT_FOUND', `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`);
  });
  const parsed = parseReports(text);
  if (!parsed.ok) throw new CliTrouble('BAD_REPORTS', `${path}:${parsed.error.line}: ${parsed.error.message}`);
  return parsed.value;
}
