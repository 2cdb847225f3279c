import { BirdboneError } from '../errors.js';
import { GATE_METRICS, type GateMetric, holds, type Relation, relationsOf } from './gate-metrics.js';

/** One limit of a gate. `limit` is in the figure's own unit: 3 % is 0.03, 1.1x is 1.1. */
export interface GateTerm {
  readonly metric: string;
  readonly relation: Relation;
  readonly limit: number;
}

/** What a candidate must meet to be kept: every term. Without terms the gate is off. */
export interface Gate {
  /** The terms as `parseGate` reads them, or "off". */
  readonly text: string;
  readonly terms: readonly GateTerm[];
  /** Whether a term compares logits, so that the base model must run beside the candidate. */
  readonly needsBaseLogits: boolean;
}

/**
 * Reads a gate: terms joined by `and`, each a metric, a relation and a limit with its unit. `accuracy<3%` bounds the relative
 * accuracy loss against the base, `perplexity<1.1x` the ratio to the base's, `kl<0.05` the mean divergence in nats,
 * `agreement>95%` the share of tokens with the same arg-max. `<` and `>` are strict, `<=` and `>=` let the limit itself pass;
 * capitals and spaces do not matter. There is no `or`: a gate is a set of promises. Throws `usage` that points at the fault.
 *
 * @example
 * parseGate('accuracy<3% and perplexity<1.1x');
 */
export function parseGate(text: string): Gate {
  const scanner = new Scanner(text);
  const terms = [parseTerm(scanner)];
  while (scanner.take(/and\b/iy) !== undefined) terms.push(parseTerm(scanner));
  if (!scanner.atEnd()) throw scanner.fault('here must be "and" or the end; every term must hold, there is no "or"');
  return gateOf(terms);
}

/** A term and how its text reads without spaces and capitals. */
interface WrittenTerm extends GateTerm {
  readonly written: string;
}

/** The gate of `--max-drop`: a relative accuracy loss of at most `maxDrop`, the limit itself included. 1 and more turn it off. */
export function defaultGate(maxDrop: number): Gate {
  const written = `accuracy<=${inPercent(maxDrop)}%`;
  return gateOf(maxDrop >= 1 ? [] : [{ metric: 'accuracy', relation: '<=', limit: maxDrop, written }]);
}

export function isOff(gate: Gate): boolean {
  return gate.terms.length === 0;
}

function gateOf(terms: readonly WrittenTerm[]): Gate {
  return {
    text: terms.length === 0 ? 'off' : terms.map(({ written }) => written).join(' and '),
    terms: terms.map(({ metric, relation, limit }) => ({ metric, relation, limit })),
    needsBaseLogits: terms.some(({ metric }) => GATE_METRICS[metric]!.needsBaseLogits),
  };
}

/** 0.07 as 7: the shortest decimal that is this fraction's hundredfold, not the product's rounding error. */
export function inPercent(fraction: number): number {
  return Number((100 * fraction).toPrecision(15));
}

function parseTerm(scanner: Scanner): WrittenTerm {
  const start = scanner.at;
  const name = scanner.take(/[a-z]+/iy)?.toLowerCase();
  const metric = name !== undefined && Object.hasOwn(GATE_METRICS, name) ? GATE_METRICS[name] : undefined;
  if (name === undefined || metric === undefined) {
    throw scanner.fault(`here must be one of ${Object.keys(GATE_METRICS).join(', ')}`, start);
  }
  const relation = parseRelation(scanner, name, metric);
  const { limit, digits } = parseLimit(scanner, name, metric);
  if (!holds(metric.best, relation, limit)) throw scanner.fault('no model can meet this term', start);
  return { metric: name, relation, limit, written: `${name}${relation}${digits}${metric.unit}` };
}

function parseRelation(scanner: Scanner, name: string, metric: GateMetric): Relation {
  const at = scanner.at;
  const allowed = relationsOf(metric);
  const relation = scanner.take(/[<>]=?/y);
  const known = allowed.find((candidate) => candidate === relation);
  if (known === undefined) throw scanner.fault(`${name} is limited by ${allowed.join(' or ')}`, at);
  return known;
}

function parseLimit(
  scanner: Scanner,
  name: string,
  { unit, example }: GateMetric,
): { readonly limit: number; readonly digits: string } {
  const at = scanner.at;
  const digits = scanner.take(/\d+(?:\.\d*)?|\.\d+/y);
  if (digits === undefined) throw scanner.fault(`here must be a number, as in ${example}`, at);
  const unitAt = scanner.at;
  const found = (scanner.take(/[%x]/iy) ?? '').toLowerCase();
  if (found !== unit) {
    throw scanner.fault(`a limit of ${name} ends in ${unit === '' ? 'no unit' : unit}, as in ${example}`, unitAt);
  }
  // Read as one decimal: 3 % is the number 0.03 itself, not a quotient near it.
  const limit = Number(unit === '%' ? `${digits}e-2` : digits);
  if (!Number.isFinite(limit)) throw scanner.fault('this number is too large', at);
  return { limit, digits };
}

/** Reads a text from left to right, spaces skipped. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipSpace();
  }

  get at(): number {
    return this.#at;
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** What the sticky pattern matches here; undefined, and nothing is read, when it does not. */
  take(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found === undefined) return undefined;
    this.#at += found.length;
    this.#skipSpace();
    return found;
  }

  fault(allowed: string, at = this.#at): BirdboneError {
    const rest = this.#text.slice(at, at + 20);
    const where = rest === '' ? 'at its end' : `at character ${at + 1}, ${JSON.stringify(rest)}`;
    return new BirdboneError('usage', `The gate ${JSON.stringify(this.#text)} is wrong ${where}: ${allowed}.`, {
      suggestions: [
        `Join terms like these by "and": ${Object.values(GATE_METRICS)
          .map(({ example }) => example)
          .join(', ')}`,
      ],
    });
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
  }
}
