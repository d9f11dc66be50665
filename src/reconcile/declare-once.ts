import { declare } from '#declare/declare.ts';
import type { DeclareAnswer, DeclareInput } from '#declare/declare.ts';
import type { Instant } from '#model/ids.ts';
import type { OpenedSecret, OpenedSecrets, OpenRequest } from '#ports/secrets.ts';

/** What commits declared, and everything else that the answer depends on. */
export interface LastAnswer {
  readonly commits: string;
  readonly secrets: OpenedSecrets;
  readonly since: Instant;
  readonly answer: DeclareAnswer;
}

type Input = DeclareInput & { readonly base: DeclareInput['base'] | null; readonly secrets: OpenedSecrets };

/**
 * What a revision declares. Most passes of a daemon meet the commit of the pass before: then its answer is given again,
 * unless a secret opened to something else or an instant came that the declarations name. Working trees are always read.
 */
export function declareOnce(state: { last: LastAnswer | null }, input: Input, needed: OpenRequest): DeclareAnswer {
  const { last } = state;
  const { secrets, at } = input;
  const commits = commitsOf(input);
  if (last !== null && last.commits === commits && isCurrent(last, at) && openedAlike(last.secrets, secrets, needed)) return last.answer;
  const answer = declare(input);
  state.last = commits === null ? null : { commits, secrets, since: at, answer };
  return answer;
}

/** Null where something is read that may change under the same name. */
function commitsOf({ revision, base }: Input): string | null {
  const refs = [revision.ref, ...(base == null ? [] : [base.ref])];
  return refs.some(({ commit }) => commit === null) ? null : refs.map(({ commit, tree }) => `${commit} ${tree}`).join('\n');
}

function isCurrent({ since, answer: { until } }: LastAnswer, at: Instant): boolean {
  return since <= at && (until === null || at < until);
}

function openedAlike(before: OpenedSecrets, now: OpenedSecrets, { files }: OpenRequest): boolean {
  return before.identityProblem === now.identityProblem && files.every(({ oid }) => areAlike(before.of(oid), now.of(oid)));
}

/** Of two openings of one file. What was opened once is kept by who opens, so another value is another opening. */
function areAlike(before: OpenedSecret | undefined, now: OpenedSecret | undefined): boolean {
  if (before === now) return true;
  return before?.kind === 'problem' && now?.kind === 'problem' && before.code === now.code && before.message === now.message;
}
