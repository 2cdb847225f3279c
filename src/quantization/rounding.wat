;; Rounding to nearest, four values at a time: what rangesOf (range-scales.ts), the integers of elements.ts and packRows (bit-stream.ts)
;; say in TypeScript, bit for bit. test/quantization/round-rows.test.ts holds one against the other.
;;
;; A run is the values of one row that share a scale: `tile` of them, fewer at a row's end. Whole vectors are read and written, two at a
;; time, so the caller leaves 32 bytes of room behind the arrays of `encode`.
;;
;; The memory is that of pair-sums.wat, so that sums are made of values where they lie.
(module
  (memory (import "host" "memory") 1)

  ;; The smallest and the largest value of each run, 0 among them, at $least and $most. 1 where a value is NaN.
  (func (export "ranges")
    (param $x i32) (param $rows i32) (param $columns i32) (param $tile i32) (param $least i32) (param $most i32) (result i32)
    (local $row i32) (local $rowEnd i32) (local $end i32) (local $whole i32)
    (local $value v128) (local $low v128) (local $high v128) (local $nan v128)
    (local $v f32) (local $l f32) (local $h f32) (local $isNan i32)
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (local.set $rowEnd (i32.add (local.get $x) (i32.mul (local.get $columns) (i32.const 4))))
        (loop $nextRun
          (local.set $end (i32.add (local.get $x) (i32.mul (local.get $tile) (i32.const 4))))
          (if (i32.gt_u (local.get $end) (local.get $rowEnd)) (then (local.set $end (local.get $rowEnd))))
          (local.set $whole
            (i32.add (local.get $x) (i32.and (i32.sub (local.get $end) (local.get $x)) (i32.const -16))))
          (local.set $low (v128.const i32x4 0 0 0 0))
          (local.set $high (v128.const i32x4 0 0 0 0))
          (block $wholeDone
            (loop $next
              (br_if $wholeDone (i32.ge_u (local.get $x) (local.get $whole)))
              (local.set $value (v128.load (local.get $x)))
              (local.set $low (f32x4.pmin (local.get $low) (local.get $value)))
              (local.set $high (f32x4.pmax (local.get $high) (local.get $value)))
              (local.set $nan (v128.or (local.get $nan) (f32x4.ne (local.get $value) (local.get $value))))
              (local.set $x (i32.add (local.get $x) (i32.const 16)))
              (br $next)))
          (local.set $low
            (f32x4.pmin (local.get $low)
              (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $low) (local.get $low))))
          (local.set $high
            (f32x4.pmax (local.get $high)
              (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $high) (local.get $high))))
          (local.set $l (f32.min (f32x4.extract_lane 0 (local.get $low)) (f32x4.extract_lane 1 (local.get $low))))
          (local.set $h (f32.max (f32x4.extract_lane 0 (local.get $high)) (f32x4.extract_lane 1 (local.get $high))))
          (block $restDone
            (loop $next
              (br_if $restDone (i32.ge_u (local.get $x) (local.get $end)))
              (local.set $v (f32.load (local.get $x)))
              (local.set $l (select (local.get $v) (local.get $l) (f32.lt (local.get $v) (local.get $l))))
              (local.set $h (select (local.get $v) (local.get $h) (f32.gt (local.get $v) (local.get $h))))
              (local.set $isNan (i32.or (local.get $isNan) (f32.ne (local.get $v) (local.get $v))))
              (local.set $x (i32.add (local.get $x) (i32.const 4)))
              (br $next)))
          (f32.store (local.get $least) (local.get $l))
          (f32.store (local.get $most) (local.get $h))
          (local.set $least (i32.add (local.get $least) (i32.const 4)))
          (local.set $most (i32.add (local.get $most) (i32.const 4)))
          (br_if $nextRun (i32.lt_u (local.get $x) (local.get $rowEnd))))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $nextRow)))
    (i32.or (local.get $isNan) (v128.any_true (local.get $nan))))

  ;; The codes of rows, `bits` of them dense, each row from a whole byte on, at $packed, behind which 8 bytes are overwritten.
  ;; $scales, $zeros: an f32 for each run; zeros are whole numbers. $codes: room for a row of bytes, and zeros from its end to the
  ;; next multiple of 8. What the codes stand for, q, is put at $rounded. Adds Σ (x − q)² and Σ x² to the two f64 at $sums, unless it is 0:
  ;; each sum waits for the one before.
  (func (export "encode")
    (param $x i32) (param $rows i32) (param $columns i32) (param $tile i32) (param $scales i32) (param $zeros i32)
    (param $bits i32) (param $codes i32) (param $packed i32) (param $rounded i32) (param $sums i32)
    (local $row i32) (local $rowEnd i32) (local $end i32) (local $whole i32) (local $to i32) (local $codesEnd i32) (local $rowBytes i32)
    (local $scale f32) (local $zero f32) (local $isOdd i32) (local $q f32) (local $n f32) (local $d f32) (local $most f32)
    (local $scales4 v128) (local $zeros4 v128) (local $words v128) (local $top v128) (local $none v128) (local $half v128) (local $shift v128)
    (local $a v128) (local $b v128) (local $na v128) (local $nb v128) (local $da v128) (local $db v128)
    (local $error v128) (local $norm v128) (local $low v128)
    (local $errorRest f64) (local $normRest f64) (local $value f64) (local $difference f64)
    (local $word i64) (local $shift1 i64) (local $shift2 i64) (local $shift3 i64)
    (local.set $most (f32.convert_i32_u (i32.sub (i32.shl (i32.const 1) (local.get $bits)) (i32.const 1))))
    (local.set $top (f32x4.splat (local.get $most)))
    (local.set $half (f32x4.splat (f32.const 0.5)))
    ;; Adding 2^23 to a whole number from 0 to 255 puts it into the lowest byte; all else is 2^23's own bits.
    (local.set $shift (f32x4.splat (f32.const 8388608)))
    (local.set $rowBytes (i32.shr_u (i32.add (i32.mul (local.get $columns) (local.get $bits)) (i32.const 7)) (i32.const 3)))
    (local.set $shift1 (i64.extend_i32_u (i32.sub (i32.const 8) (local.get $bits))))
    (local.set $shift2 (i64.mul (local.get $shift1) (i64.const 2)))
    (local.set $shift3 (i64.mul (local.get $shift1) (i64.const 4)))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (local.set $rowEnd (i32.add (local.get $x) (i32.mul (local.get $columns) (i32.const 4))))
        (local.set $to (local.get $codes))
        (loop $nextRun
          (local.set $end (i32.add (local.get $x) (i32.mul (local.get $tile) (i32.const 4))))
          (if (i32.gt_u (local.get $end) (local.get $rowEnd)) (then (local.set $end (local.get $rowEnd))))
          (local.set $whole
            (i32.add (local.get $x) (i32.and (i32.sub (local.get $end) (local.get $x)) (i32.const -32))))
          (local.set $scale (f32.load (local.get $scales)))
          (local.set $zero (f32.load (local.get $zeros)))
          (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
          (local.set $zeros (i32.add (local.get $zeros) (i32.const 4)))
          (local.set $isOdd (i32.and (i32.trunc_f32_u (local.get $zero)) (i32.const 1)))
          (local.set $scales4 (f32x4.splat (local.get $scale)))
          (local.set $zeros4 (f32x4.splat (local.get $zero)))
          (block $wholeDone
            (loop $next
              (br_if $wholeDone (i32.ge_u (local.get $x) (local.get $whole)))
              (local.set $a (v128.load (local.get $x)))
              (local.set $b (v128.load offset=16 (local.get $x)))
              (local.set $da (f32x4.div (local.get $a) (local.get $scales4)))
              (local.set $db (f32x4.div (local.get $b) (local.get $scales4)))
              (local.set $na (f32x4.nearest (local.get $da)))
              (local.set $nb (f32x4.nearest (local.get $db)))
              ;; Ties are to go where the sum with the zero is even: with an odd one, to the other side.
              (if (local.get $isOdd)
                (then
                  (local.set $da (f32x4.sub (local.get $da) (local.get $na)))
                  (local.set $db (f32x4.sub (local.get $db) (local.get $nb)))
                  (local.set $na
                    (f32x4.add (local.get $na)
                      (v128.and
                        (f32x4.add (local.get $da) (local.get $da))
                        (f32x4.eq (f32x4.abs (local.get $da)) (local.get $half)))))
                  (local.set $nb
                    (f32x4.add (local.get $nb)
                      (v128.and
                        (f32x4.add (local.get $db) (local.get $db))
                        (f32x4.eq (f32x4.abs (local.get $db)) (local.get $half)))))))
              (local.set $na
                (f32x4.pmin
                  (f32x4.pmax (local.get $none) (f32x4.add (local.get $na) (local.get $zeros4))) (local.get $top)))
              (local.set $nb
                (f32x4.pmin
                  (f32x4.pmax (local.get $none) (f32x4.add (local.get $nb) (local.get $zeros4))) (local.get $top)))
              (local.set $words
                (i16x8.narrow_i32x4_u
                  (v128.xor (f32x4.add (local.get $na) (local.get $shift)) (local.get $shift))
                  (v128.xor (f32x4.add (local.get $nb) (local.get $shift)) (local.get $shift))))
              (v128.store64_lane 0 (local.get $to) (i8x16.narrow_i16x8_u (local.get $words) (local.get $words)))

              (local.set $da (f32x4.mul (f32x4.sub (local.get $na) (local.get $zeros4)) (local.get $scales4)))
              (local.set $db (f32x4.mul (f32x4.sub (local.get $nb) (local.get $zeros4)) (local.get $scales4)))
              (v128.store (local.get $rounded) (local.get $da))
              (v128.store offset=16 (local.get $rounded) (local.get $db))
              (if (local.get $sums)
                (then
                  (local.set $low (f64x2.promote_low_f32x4 (local.get $a)))
                  (local.set $norm (f64x2.add (local.get $norm) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.sub (local.get $low) (f64x2.promote_low_f32x4 (local.get $da))))
                  (local.set $error (f64x2.add (local.get $error) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.promote_low_f32x4 (local.get $b)))
                  (local.set $norm (f64x2.add (local.get $norm) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.sub (local.get $low) (f64x2.promote_low_f32x4 (local.get $db))))
                  (local.set $error (f64x2.add (local.get $error) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.promote_low_f32x4
                    (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $a) (local.get $a))))
                  (local.set $norm (f64x2.add (local.get $norm) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.sub (local.get $low) (f64x2.promote_low_f32x4
                    (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $da) (local.get $da)))))
                  (local.set $error (f64x2.add (local.get $error) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.promote_low_f32x4
                    (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $b) (local.get $b))))
                  (local.set $norm (f64x2.add (local.get $norm) (f64x2.mul (local.get $low) (local.get $low))))
                  (local.set $low (f64x2.sub (local.get $low) (f64x2.promote_low_f32x4
                    (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $db) (local.get $db)))))
                  (local.set $error (f64x2.add (local.get $error) (f64x2.mul (local.get $low) (local.get $low))))))
              (local.set $x (i32.add (local.get $x) (i32.const 32)))
              (local.set $rounded (i32.add (local.get $rounded) (i32.const 32)))
              (local.set $to (i32.add (local.get $to) (i32.const 8)))
              (br $next)))
          ;; The same of the values that are left, one by one.
          (block $restDone
            (loop $next
              (br_if $restDone (i32.ge_u (local.get $x) (local.get $end)))
              (local.set $q (f32.div (f32.load (local.get $x)) (local.get $scale)))
              (local.set $n (f32.nearest (local.get $q)))
              (local.set $d (f32.sub (local.get $q) (local.get $n)))
              (if (i32.and (local.get $isOdd) (f32.eq (f32.abs (local.get $d)) (f32.const 0.5)))
                (then (local.set $n (f32.add (local.get $n) (f32.add (local.get $d) (local.get $d))))))
              (local.set $n (f32.add (local.get $n) (local.get $zero)))
              (local.set $n (f32.min (f32.max (local.get $n) (f32.const 0)) (local.get $most)))
              (i32.store8 (local.get $to) (i32.trunc_f32_u (local.get $n)))
              (local.set $value (f64.promote_f32 (f32.load (local.get $x))))
              (local.set $normRest (f64.add (local.get $normRest) (f64.mul (local.get $value) (local.get $value))))
              (local.set $q (f32.mul (f32.sub (local.get $n) (local.get $zero)) (local.get $scale)))
              (local.set $difference (f64.sub (local.get $value) (f64.promote_f32 (local.get $q))))
              (local.set $errorRest
                (f64.add (local.get $errorRest) (f64.mul (local.get $difference) (local.get $difference))))
              (f32.store (local.get $rounded) (local.get $q))
              (local.set $x (i32.add (local.get $x) (i32.const 4)))
              (local.set $rounded (i32.add (local.get $rounded) (i32.const 4)))
              (local.set $to (i32.add (local.get $to) (i32.const 1)))
              (br $next)))
          (br_if $nextRun (i32.lt_u (local.get $x) (local.get $rowEnd))))
        ;; Eight bytes become `bits` bytes: neighbours are moved together, then pairs, then fours.
        (local.set $codesEnd (local.get $to))
        (local.set $to (local.get $codes))
        (local.set $end (local.get $packed))
        (loop $pack
          (local.set $word (i64.load (local.get $to)))
          (local.set $word
            (i64.or
              (i64.and (local.get $word) (i64.const 0x00ff00ff00ff00ff))
              (i64.shr_u (i64.and (local.get $word) (i64.const 0xff00ff00ff00ff00)) (local.get $shift1))))
          (local.set $word
            (i64.or
              (i64.and (local.get $word) (i64.const 0x0000ffff0000ffff))
              (i64.shr_u (i64.and (local.get $word) (i64.const 0xffff0000ffff0000)) (local.get $shift2))))
          (i64.store (local.get $end)
            (i64.or
              (i64.and (local.get $word) (i64.const 0x00000000ffffffff))
              (i64.shr_u (i64.and (local.get $word) (i64.const 0xffffffff00000000)) (local.get $shift3))))
          (local.set $end (i32.add (local.get $end) (local.get $bits)))
          (local.set $to (i32.add (local.get $to) (i32.const 8)))
          (br_if $pack (i32.lt_u (local.get $to) (local.get $codesEnd))))
        (local.set $packed (i32.add (local.get $packed) (local.get $rowBytes)))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $nextRow)))
    (if (i32.eqz (local.get $sums)) (then (return)))
    (f64.store (local.get $sums)
      (f64.add (f64.load (local.get $sums))
        (f64.add (local.get $errorRest)
          (f64.add (f64x2.extract_lane 0 (local.get $error)) (f64x2.extract_lane 1 (local.get $error))))))
    (f64.store offset=8 (local.get $sums)
      (f64.add (f64.load offset=8 (local.get $sums))
        (f64.add (local.get $normRest)
          (f64.add (f64x2.extract_lane 0 (local.get $norm)) (f64x2.extract_lane 1 (local.get $norm)))))))

  ;; What the codes of rows stand for: (code - zero) · scale at $values, f32. The reverse of `encode`, with its $tile, $scales, $zeros,
  ;; $bits and $codes. Behind $packed 8 bytes are read, and 28 bytes behind $values and 8 behind a row of $codes overwritten.
  (func (export "decode")
    (param $packed i32) (param $rows i32) (param $columns i32) (param $tile i32) (param $scales i32) (param $zeros i32)
    (param $bits i32) (param $codes i32) (param $values i32)
    (local $row i32) (local $rowEnd i32) (local $end i32) (local $next i32) (local $from i32) (local $to i32) (local $rowBytes i32)
    (local $scales4 v128) (local $zeros4 v128) (local $eight v128)
    (local $word i64) (local $keep i64) (local $low4 i64) (local $low2 i64) (local $low1 i64)
    (local $shift1 i64) (local $shift2 i64) (local $shift4 i64)
    (local.set $rowBytes (i32.shr_u (i32.add (i32.mul (local.get $columns) (local.get $bits)) (i32.const 7)) (i32.const 3)))
    (local.set $shift1 (i64.extend_i32_u (i32.sub (i32.const 8) (local.get $bits))))
    (local.set $shift2 (i64.mul (local.get $shift1) (i64.const 2)))
    (local.set $shift4 (i64.mul (local.get $shift1) (i64.const 4)))
    ;; The bits of eight codes, and of the first four, two and one of those that are still together.
    (local.set $keep (i64.shr_u (i64.const -1) (i64.mul (local.get $shift1) (i64.const 8))))
    (local.set $low4 (i64.shr_u (i64.const 0xffffffff) (local.get $shift4)))
    (local.set $low2 (i64.mul (i64.shr_u (i64.const 0xffff) (local.get $shift2)) (i64.const 0x0000000100000001)))
    (local.set $low1 (i64.mul (i64.shr_u (i64.const 0xff) (local.get $shift1)) (i64.const 0x0001000100010001)))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (local.set $from (local.get $packed))
        (local.set $to (local.get $codes))
        (local.set $end (i32.add (local.get $codes) (local.get $columns)))
        ;; Fours are moved apart, then pairs, then neighbours.
        (loop $unpack
          (local.set $word (i64.and (i64.load (local.get $from)) (local.get $keep)))
          (local.set $word
            (i64.or
              (i64.and (local.get $word) (local.get $low4))
              (i64.shl (i64.and (local.get $word) (i64.xor (local.get $low4) (i64.const -1))) (local.get $shift4))))
          (local.set $word
            (i64.or
              (i64.and (local.get $word) (local.get $low2))
              (i64.shl (i64.and (local.get $word) (i64.xor (local.get $low2) (i64.const -1))) (local.get $shift2))))
          (i64.store (local.get $to)
            (i64.or
              (i64.and (local.get $word) (local.get $low1))
              (i64.shl (i64.and (local.get $word) (i64.xor (local.get $low1) (i64.const -1))) (local.get $shift1))))
          (local.set $from (i32.add (local.get $from) (local.get $bits)))
          (local.set $to (i32.add (local.get $to) (i32.const 8)))
          (br_if $unpack (i32.lt_u (local.get $to) (local.get $end))))
        (local.set $packed (i32.add (local.get $packed) (local.get $rowBytes)))
        ;; Runs one after the other: what the last eight of one write too much, the next writes again.
        (local.set $from (local.get $codes))
        (local.set $rowEnd (local.get $end))
        (loop $nextRun
          (local.set $end (i32.add (local.get $from) (local.get $tile)))
          (if (i32.gt_u (local.get $end) (local.get $rowEnd)) (then (local.set $end (local.get $rowEnd))))
          (local.set $next
            (i32.add (local.get $values) (i32.mul (i32.sub (local.get $end) (local.get $from)) (i32.const 4))))
          (local.set $scales4 (v128.load32_splat (local.get $scales)))
          (local.set $zeros4 (v128.load32_splat (local.get $zeros)))
          (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
          (local.set $zeros (i32.add (local.get $zeros) (i32.const 4)))
          (loop $turn
            (local.set $eight (v128.load8x8_u (local.get $from)))
            (v128.store (local.get $values)
              (f32x4.mul (local.get $scales4)
                (f32x4.sub (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (local.get $eight))) (local.get $zeros4))))
            (v128.store offset=16 (local.get $values)
              (f32x4.mul (local.get $scales4)
                (f32x4.sub (f32x4.convert_i32x4_u (i32x4.extend_high_i16x8_u (local.get $eight))) (local.get $zeros4))))
            (local.set $from (i32.add (local.get $from) (i32.const 8)))
            (local.set $values (i32.add (local.get $values) (i32.const 32)))
            (br_if $turn (i32.lt_u (local.get $from) (local.get $end))))
          (local.set $from (local.get $end))
          (local.set $values (local.get $next))
          (br_if $nextRun (i32.lt_u (local.get $from) (local.get $rowEnd))))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $nextRow)))))
