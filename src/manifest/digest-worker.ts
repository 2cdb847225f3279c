import { serve } from '../threads/index.js';
import { hashPiece } from './digest-piece.js';

serve(hashPiece, () => []);
