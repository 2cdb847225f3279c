import { TOKEN_TYPES } from './vocabulary.js';

/** Half the squares of all pieces' lengths, which bounds the work; the largest known vocabularies have some 20 million. */
const MAX_WORK = 2 ** 27;

/** The merges of a SentencePiece vocabulary, and how far they stand for its scores. */
export interface DerivedMerges {
  /** Pairs of pieces, best first. */
  readonly merges: readonly (readonly [string, string])[];
  /** Pieces whose score another piece has too: llama.cpp joins the leftmost of them first, merges the first listed. */
  readonly tied: number;
}

/**
 * Returns the merges that do what llama.cpp does with scores: of all neighbours that make a piece, those that make the piece of
 * the highest score are joined first. So every way to cut a piece in two pieces is a merge, as far up as the piece's score.
 * Undefined for a vocabulary whose pieces are so long that this would take minutes.
 * Source: huggingface/transformers, convert_slow_tokenizer.py (`generate_merges`).
 */
export function mergesOfScores(
  tokens: readonly string[],
  types: ArrayLike<number>,
  scores: ArrayLike<number>,
): DerivedMerges | undefined {
  const pieces = tokens.flatMap((piece, id) =>
    isPiece(types[id]!) && piece.length > 1 ? [{ piece, score: scores[id]! }] : [],
  );
  if (pieces.reduce((work, { piece }) => work + piece.length ** 2 / 2, 0) > MAX_WORK) return undefined;
  const known = new Set(tokens.filter((_, id) => isPiece(types[id]!)));
  const found = pieces.flatMap(({ piece, score }) => {
    const pairs = splits(piece).filter(([left, right]) => known.has(left) && known.has(right));
    return pairs.length === 0 ? [] : [{ score, pairs }];
  });
  // Stable: pieces of one score stay in the order of their ids.
  found.sort((a, b) => b.score - a.score);
  const tied = found.filter(({ score }, i) => score === found[i - 1]?.score || score === found[i + 1]?.score).length;
  return { merges: found.flatMap(({ pairs }) => pairs), tied };
}

/** What neighbouring characters can be joined to; special tokens and bytes are never made from pieces. */
function isPiece(type: number): boolean {
  return type === TOKEN_TYPES.normal || type === TOKEN_TYPES.userDefined || type === TOKEN_TYPES.unused;
}

function splits(piece: string): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 1; at < piece.length; at++) {
    const code = piece.charCodeAt(at);
    // Not within a character of two code units.
    if (code < 0xdc00 || code > 0xdfff) pairs.push([piece.slice(0, at), piece.slice(at)]);
  }
  return pairs;
}

/** Below every rank that a merge can have: for pieces that no merge makes. */
const UNMERGED = -1e9;

/**
 * Returns a score for each piece that makes llama.cpp join it as early as its first merge says: the negative rank. Pieces
 * that no merge makes, single characters above all, come after all others.
 */
export function scoresOfMerges(
  tokens: readonly string[],
  types: ArrayLike<number>,
  merges: readonly (readonly [string, string])[],
): Float32Array {
  const ranks = new Map<string, number>();
  merges.forEach(([left, right], rank) => {
    const piece = left + right;
    if (!ranks.has(piece)) ranks.set(piece, rank);
  });
  return Float32Array.from(tokens, (piece, id) => {
    if (!isPiece(types[id]!)) return 0;
    const rank = ranks.get(piece);
    return rank === undefined ? UNMERGED : 0 - rank;
  });
}
