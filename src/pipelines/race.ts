import { BirdboneError, stopIfAborted } from '../errors.js';
import { scorePassages } from '../evaluation/index.js';
import { type Candidate, nameOf } from './candidates.js';
import { byFronts, paretoFront, rounds, survivors } from './halving.js';
import { type Effect, type Interaction, interactionOf } from './interaction.js';
import { ScoreBook } from './score-book.js';
import type { SearchResult, Tried } from './search-result.js';
import { type Measured, measuredOf, type Subject } from './subject.js';
import { bytesOf, makeTrial, type Trial, type TrialOptions } from './trial.js';

/**
 * Ways to end that say something of the candidate: it changes nothing, an engine would not load it, it gives no numbers, its budget
 * cannot be met.
 */
const IMPOSSIBLE: readonly BirdboneError['code'][] = ['gate-failed', 'unsupported', 'not-finite', 'usage'];

/** Candidates on the way through the rounds of a search. */
export class Race {
  readonly #subject: Subject;
  readonly #folder: string;
  readonly #options: TrialOptions;
  readonly #trials = new Map<string, Trial>();
  readonly #measured = new Map<string, Measured>();
  readonly #impossible = new Map<string, string>();
  readonly #denseBytes: number;

  constructor(subject: Subject, folder: string, options: TrialOptions) {
    this.#subject = subject;
    this.#folder = folder;
    this.#options = options;
    this.#denseBytes = bytesOf(subject.model.checkpoint);
  }

  async run(candidates: readonly Candidate[]): Promise<SearchResult> {
    const sizes = rounds(this.#subject.evaluation.length);
    const ran: { passages: number; candidates: number }[] = [];
    let racing = candidates;
    for (const [round, passages] of sizes.entries()) {
      ran.push({ passages, candidates: racing.length });
      await this.#measureAll(racing, passages, `round ${round + 1} of ${sizes.length}`);
      const ranked = byFronts(this.#made(racing).map((candidate) => this.#pointOf(candidate)));
      racing = ranked.slice(0, survivors(ranked.length)).map(({ candidate }) => candidate);
    }
    const all = this.#subject.evaluation.length;
    const best = this.#best(this.#made(candidates), all);
    // What each of its steps does alone, on the same text.
    const alone = best === undefined ? [] : best.steps.map((step) => ({ name: nameOf([step]), steps: [step] }));
    if (alone.length > 1) await this.#measureAll(alone, all, 'each technique alone');
    return this.#result(this.#made([...candidates, ...alone]), { ran, best, alone: this.#made(alone) });
  }

  async #measureAll(candidates: readonly Candidate[], passages: number, stage: string): Promise<void> {
    for (const [done, candidate] of candidates.entries()) {
      stopIfAborted(this.#options.signal);
      this.#options.report?.({ type: 'progress', stage, done, total: candidates.length, unit: 'candidates' });
      const trial = this.#trials.get(candidate.name) ?? (await this.#make(candidate));
      if (trial === undefined) continue;
      this.#trials.set(candidate.name, trial);
      const scores = await trial.scores(passages);
      this.#measured.set(candidate.name, measuredOf(await this.#dense(passages), scores, this.#subject));
    }
  }

  /** The candidates that are models now. */
  #made(candidates: readonly Candidate[]): Candidate[] {
    return candidates.filter(({ name }) => this.#trials.has(name));
  }

  async #make(candidate: Candidate): Promise<Trial | undefined> {
    const place = { subject: this.#subject, folder: this.#folder };
    try {
      return await makeTrial(candidate, place, this.#options);
    } catch (error) {
      if (!(error instanceof BirdboneError) || !IMPOSSIBLE.includes(error.code)) throw error;
      this.#impossible.set(candidate.name, error.message);
      return undefined;
    }
  }

  async #dense(passages: number) {
    const { key, scoring, model, evaluation, recipe } = this.#subject;
    const book = await ScoreBook.open(this.#folder, { ...key, dense: recipe.model });
    const { base: _, ...options } = scoring;
    return book.upTo(passages, evaluation, (some) => scorePassages(model, some, options));
  }

  #pointOf(candidate: Candidate) {
    const { nats } = this.#measured.get(candidate.name)!;
    const loss = Number.isFinite(nats) ? nats : Number.POSITIVE_INFINITY;
    return { candidate, bytes: this.#trials.get(candidate.name)!.bytes, loss };
  }

  #best(candidates: readonly Candidate[], passages: number): Candidate | undefined {
    const passing = candidates.filter(({ name }) => {
      const measured = this.#measured.get(name)!;
      return measured.passages === passages && measured.verdict.pass;
    });
    return passing.map((candidate) => this.#pointOf(candidate)).sort((a, b) => a.bytes - b.bytes || a.loss - b.loss)[0]
      ?.candidate;
  }

  async #result(
    candidates: readonly Candidate[],
    { ran, best, alone }: Pick<Outcome, 'ran' | 'best' | 'alone'>,
  ): Promise<SearchResult> {
    const all = this.#subject.evaluation.length;
    const byName = new Map(candidates.map((candidate) => [candidate.name, candidate]));
    const whole = [...byName.values()].filter(({ name }) => this.#measured.get(name)!.passages === all);
    const front = new Set(
      paretoFront(whole.map((candidate) => this.#pointOf(candidate))).map(({ candidate }) => candidate.name),
    );
    const tried = [...byName.values()].map((candidate) => this.#triedOf(candidate, front.has(candidate.name)));
    const found = tried.find(({ name }) => name === best?.name);
    const { accuracy, perplexity } = measuredOf(await this.#dense(all), await this.#dense(all), {
      ...this.#subject,
      gate: { text: 'off', terms: [], needsBaseLogits: false },
    });
    return {
      passages: all,
      gate: this.#subject.gate.text,
      rounds: ran,
      impossible: [...this.#impossible].map(([name, reason]) => ({ name, reason })),
      dense: { bytes: this.#denseBytes, accuracy, perplexity },
      tried: tried.sort((left, right) => left.bytes - right.bytes || left.nats - right.nats),
      best: found ?? null,
      interaction: found === undefined || alone.length < 2 ? null : this.#interaction(found, alone),
    };
  }

  #interaction(together: Tried, alone: readonly Candidate[]): Interaction {
    const effect = ({ name, size, nats, accuracyLoss }: Effect): Effect => ({ name, size, nats, accuracyLoss });
    return interactionOf(
      effect(together),
      alone.map((candidate) => effect(this.#triedOf(candidate, false))),
    );
  }

  #triedOf({ name, steps }: Candidate, front: boolean): Tried {
    const { verdict, ...measured } = this.#measured.get(name)!;
    const { bytes } = this.#trials.get(name)!;
    const size = bytes / this.#denseBytes;
    return { name, steps, bytes, size, ...measured, pass: verdict.pass, reason: verdict.reason, front };
  }
}

interface Outcome {
  readonly ran: SearchResult['rounds'];
  readonly best: Candidate | undefined;
  readonly alone: readonly Candidate[];
}
