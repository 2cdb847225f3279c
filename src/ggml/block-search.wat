;; The searches for the scales of small groups of values, four groups at a time, a group a lane.
;;
;; A lane does in single precision, operation by operation and in the same order, what ggml-quants.c of ggml does for one group, so
;; that the scales are ggml's to the last bit: `affine` is make_qkx2_quants and make_qkx3_quants, `symmetric` is make_qx_quants of
;; rmse_type 1. test/contract/ggml-encoder.test.ts holds the bytes that come of it against ggml's.
;;
;; $x, $w: addresses of values and error weights, [count][4] floats. $codes: room for as many floats. $out: four results of four floats.
(module
  (memory (export "memory") 1)

  ;; Codes in [0, levels] for value ≈ scale · code + min. Tried are levels + first + step · trial steps over the range, for
  ;; trial = 0 … trials. Out: scale, min (at most 0), and the inverse and offset with which code = round(inverse · (value − offset)).
  (func (export "affine")
    (param $x i32) (param $w i32) (param $codes i32) (param $count i32)
    (param $levels f32) (param $first f32) (param $step f32) (param $trials i32) (param $absolute i32) (param $out i32)
    (local $i i32) (local $end i32) (local $trial i32)
    (local $value v128) (local $weight v128) (local $code v128) (local $weighted v128) (local $cost v128)
    (local $most v128) (local $min v128) (local $sumWeights v128) (local $sumValues v128) (local $top v128) (local $zero v128)
    (local $isAbsolute v128) (local $inverse v128) (local $scale v128) (local $range v128) (local $flat v128)
    (local $bestInverse v128) (local $bestOffset v128) (local $best v128) (local $error v128)
    (local $sumCodes v128) (local $sumSquares v128) (local $sumProducts v128) (local $determinant v128)
    (local $trialScale v128) (local $trialMin v128) (local $better v128)
    (local.set $end (i32.mul (local.get $count) (i32.const 16)))
    (local.set $top (f32x4.splat (local.get $levels)))
    (local.set $isAbsolute (i32x4.splat (i32.sub (i32.const 0) (local.get $absolute))))

    ;; Range, Σ w, Σ w·x.
    (local.set $min (v128.load (local.get $x)))
    (local.set $most (local.get $min))
    (local.set $sumWeights (v128.load (local.get $w)))
    (local.set $sumValues (f32x4.mul (local.get $sumWeights) (local.get $min)))
    (local.set $i (i32.const 16))
    (loop $sum
      (local.set $value (v128.load (i32.add (local.get $x) (local.get $i))))
      (local.set $weight (v128.load (i32.add (local.get $w) (local.get $i))))
      (local.set $min (f32x4.pmin (local.get $min) (local.get $value)))
      (local.set $most (f32x4.pmax (local.get $most) (local.get $value)))
      (local.set $sumWeights (f32x4.add (local.get $sumWeights) (local.get $weight)))
      (local.set $sumValues (f32x4.add (local.get $sumValues) (f32x4.mul (local.get $weight) (local.get $value))))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $sum (i32.lt_u (local.get $i) (local.get $end))))
    (local.set $min (f32x4.pmin (local.get $zero) (local.get $min)))
    (local.set $flat (f32x4.le (local.get $most) (local.get $min)))
    (local.set $bestOffset (local.get $min))

    ;; As many steps as codes over the range, unfitted: what a trial must beat.
    (local.set $bestInverse (f32x4.div (local.get $top) (f32x4.sub (local.get $most) (local.get $min))))
    (local.set $scale (f32x4.div (f32x4.splat (f32.const 1)) (local.get $bestInverse)))
    (local.set $i (i32.const 0))
    (loop $start
      (local.set $value (v128.load (i32.add (local.get $x) (local.get $i))))
      (local.set $code
        (f32x4.nearest
          (f32x4.pmin
            (f32x4.pmax (local.get $zero)
              (f32x4.mul (local.get $bestInverse) (f32x4.sub (local.get $value) (local.get $min))))
            (local.get $top))))
      (local.set $cost
        (f32x4.sub
          (f32x4.add (f32x4.mul (local.get $scale) (local.get $code)) (local.get $min)) (local.get $value)))
      (local.set $cost
        (v128.bitselect
          (f32x4.abs (local.get $cost)) (f32x4.mul (local.get $cost) (local.get $cost)) (local.get $isAbsolute)))
      (local.set $best
        (f32x4.add (local.get $best)
          (f32x4.mul (v128.load (i32.add (local.get $w) (local.get $i))) (local.get $cost))))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $start (i32.lt_u (local.get $i) (local.get $end))))

    (loop $next
      (local.set $inverse
        (f32x4.div
          (f32x4.splat
            (f32.add
              (f32.add (local.get $first) (f32.mul (local.get $step) (f32.convert_i32_s (local.get $trial))))
              (local.get $levels)))
          (f32x4.sub (local.get $most) (local.get $min))))
      (local.set $sumCodes (local.get $zero))
      (local.set $sumSquares (local.get $zero))
      (local.set $sumProducts (local.get $zero))
      (local.set $i (i32.const 0))
      (loop $round
        (local.set $value (v128.load (i32.add (local.get $x) (local.get $i))))
        ;; pmax(0, NaN) is 0: a range that has shrunk to nothing gives 0 · ∞.
        (local.set $code
          (f32x4.nearest
            (f32x4.pmin
              (f32x4.pmax (local.get $zero)
                (f32x4.mul (local.get $inverse) (f32x4.sub (local.get $value) (local.get $min))))
              (local.get $top))))
        (v128.store (i32.add (local.get $codes) (local.get $i)) (local.get $code))
        (local.set $weighted
          (f32x4.mul (v128.load (i32.add (local.get $w) (local.get $i))) (local.get $code)))
        (local.set $sumCodes (f32x4.add (local.get $sumCodes) (local.get $weighted)))
        (local.set $sumSquares
          (f32x4.add (local.get $sumSquares) (f32x4.mul (local.get $weighted) (local.get $code))))
        (local.set $sumProducts
          (f32x4.add (local.get $sumProducts) (f32x4.mul (local.get $weighted) (local.get $value))))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br_if $round (i32.lt_u (local.get $i) (local.get $end))))

      ;; The least-squares scale and minimum of these codes; a minimum above 0 is 0.
      (local.set $determinant
        (f32x4.sub
          (f32x4.mul (local.get $sumWeights) (local.get $sumSquares))
          (f32x4.mul (local.get $sumCodes) (local.get $sumCodes))))
      (local.set $trialScale
        (f32x4.div
          (f32x4.sub
            (f32x4.mul (local.get $sumWeights) (local.get $sumProducts))
            (f32x4.mul (local.get $sumValues) (local.get $sumCodes)))
          (local.get $determinant)))
      (local.set $trialMin
        (f32x4.div
          (f32x4.sub
            (f32x4.mul (local.get $sumSquares) (local.get $sumValues))
            (f32x4.mul (local.get $sumCodes) (local.get $sumProducts)))
          (local.get $determinant)))
      (local.set $better (f32x4.gt (local.get $trialMin) (local.get $zero)))
      (local.set $trialScale
        (v128.bitselect
          (f32x4.div (local.get $sumProducts) (local.get $sumSquares)) (local.get $trialScale) (local.get $better)))
      (local.set $trialMin (v128.andnot (local.get $trialMin) (local.get $better)))

      (local.set $error (local.get $zero))
      (local.set $i (i32.const 0))
      (loop $weigh
        (local.set $cost
          (f32x4.sub
            (f32x4.add
              (f32x4.mul (local.get $trialScale) (v128.load (i32.add (local.get $codes) (local.get $i))))
              (local.get $trialMin))
            (v128.load (i32.add (local.get $x) (local.get $i)))))
        (local.set $cost
          (v128.bitselect
            (f32x4.abs (local.get $cost)) (f32x4.mul (local.get $cost) (local.get $cost)) (local.get $isAbsolute)))
        (local.set $error
          (f32x4.add (local.get $error)
            (f32x4.mul (v128.load (i32.add (local.get $w) (local.get $i))) (local.get $cost))))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br_if $weigh (i32.lt_u (local.get $i) (local.get $end))))

      (local.set $better
        (v128.and
          (f32x4.gt (local.get $determinant) (local.get $zero)) (f32x4.lt (local.get $error) (local.get $best))))
      (local.set $best (v128.bitselect (local.get $error) (local.get $best) (local.get $better)))
      (local.set $bestInverse (v128.bitselect (local.get $inverse) (local.get $bestInverse) (local.get $better)))
      (local.set $bestOffset (v128.bitselect (local.get $min) (local.get $bestOffset) (local.get $better)))
      (local.set $scale (v128.bitselect (local.get $trialScale) (local.get $scale) (local.get $better)))
      ;; The next trial's range starts at the best minimum so far.
      (local.set $min (v128.bitselect (local.get $trialMin) (local.get $min) (local.get $better)))
      (local.set $trial (i32.add (local.get $trial) (i32.const 1)))
      (br_if $next (i32.le_s (local.get $trial) (local.get $trials))))

    (v128.store (local.get $out) (v128.andnot (local.get $scale) (local.get $flat)))
    (v128.store offset=16 (local.get $out)
      (v128.bitselect (local.get $bestOffset) (local.get $min) (local.get $flat)))
    (v128.store offset=32 (local.get $out) (v128.andnot (local.get $bestInverse) (local.get $flat)))
    (v128.store offset=48 (local.get $out) (local.get $bestOffset)))

  ;; Codes in [−levels, levels − 1] for value ≈ scale · code. Out: scale, and the inverse with which code = round(inverse · value);
  ;; both 0 where no value is of magnitude 1e-15.
  (func (export "symmetric")
    (param $x i32) (param $w i32) (param $count i32) (param $levels f32) (param $out i32)
    (local $i i32) (local $end i32) (local $trial i32)
    (local $value v128) (local $code v128) (local $weight v128) (local $extreme v128) (local $largest v128) (local $larger v128)
    (local $low v128) (local $high v128) (local $inverse v128) (local $products v128) (local $squares v128)
    (local $scale v128) (local $best v128) (local $bestInverse v128) (local $better v128) (local $zero v128)
    (local.set $end (i32.mul (local.get $count) (i32.const 16)))
    (local.set $low (f32x4.splat (f32.neg (local.get $levels))))
    (local.set $high (f32x4.splat (f32.sub (local.get $levels) (f32.const 1))))
    (loop $find
      (local.set $value (v128.load (i32.add (local.get $x) (local.get $i))))
      (local.set $larger (f32x4.gt (f32x4.abs (local.get $value)) (local.get $largest)))
      (local.set $largest (v128.bitselect (f32x4.abs (local.get $value)) (local.get $largest) (local.get $larger)))
      (local.set $extreme (v128.bitselect (local.get $value) (local.get $extreme) (local.get $larger)))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $find (i32.lt_u (local.get $i) (local.get $end))))

    ;; First the trial 0, which needs no comparison, then −9 to 9 without it.
    (local.set $trial (i32.const -10))
    (loop $next
      (local.set $inverse
        (f32x4.div
          (f32x4.splat
            (f32.neg
              (f32.add (local.get $levels)
                (f32.mul (f32.const 0.1)
                  (f32.convert_i32_s
                    (select (i32.const 0) (local.get $trial) (i32.eq (local.get $trial) (i32.const -10))))))))
          (local.get $extreme)))
      (local.set $products (local.get $zero))
      (local.set $squares (local.get $zero))
      (local.set $i (i32.const 0))
      (loop $round
        (local.set $value (v128.load (i32.add (local.get $x) (local.get $i))))
        (local.set $weight (v128.load (i32.add (local.get $w) (local.get $i))))
        (local.set $code
          (f32x4.nearest
            (f32x4.pmin
              (f32x4.pmax (local.get $low) (f32x4.mul (local.get $inverse) (local.get $value)))
              (local.get $high))))
        (local.set $products
          (f32x4.add (local.get $products)
            (f32x4.mul (f32x4.mul (local.get $weight) (local.get $value)) (local.get $code))))
        (local.set $squares
          (f32x4.add (local.get $squares)
            (f32x4.mul (f32x4.mul (local.get $weight) (local.get $code)) (local.get $code))))
        (local.set $i (i32.add (local.get $i) (i32.const 16)))
        (br_if $round (i32.lt_u (local.get $i) (local.get $end))))
      (local.set $better
        (v128.and
          (f32x4.gt (local.get $squares) (local.get $zero))
          (f32x4.gt
            (f32x4.mul (local.get $products) (local.get $products))
            (f32x4.mul (local.get $best) (local.get $squares)))))
      (if (i32.eq (local.get $trial) (i32.const -10))
        (then
          (local.set $bestInverse (local.get $inverse))
          (local.set $better (f32x4.gt (local.get $squares) (local.get $zero)))))
      (local.set $inverse (v128.bitselect (local.get $inverse) (local.get $bestInverse) (local.get $better)))
      (local.set $bestInverse (local.get $inverse))
      (local.set $scale
        (v128.bitselect
          (f32x4.div (local.get $products) (local.get $squares)) (local.get $scale) (local.get $better)))
      (local.set $best
        (v128.bitselect
          (f32x4.mul (local.get $scale) (local.get $products)) (local.get $best) (local.get $better)))
      (local.set $trial
        (i32.add (local.get $trial) (select (i32.const 2) (i32.const 1) (i32.eq (local.get $trial) (i32.const -1)))))
      (br_if $next (i32.le_s (local.get $trial) (i32.const 9))))
    (local.set $larger (f32x4.ge (local.get $largest) (f32x4.splat (f32.const 1e-15))))
    (v128.store (local.get $out) (v128.and (local.get $scale) (local.get $larger)))
    (v128.store offset=16 (local.get $out) (v128.and (local.get $bestInverse) (local.get $larger)))))
