export { type Candidate, candidatesOf } from './candidates.js';
export type { Effect, Interaction } from './interaction.js';
export { foundRun, search, searchFolder } from './search.js';
export { searchPicture, writeSearchPicture } from './search-picture.js';
export type { SearchResult, Tried } from './search-result.js';
