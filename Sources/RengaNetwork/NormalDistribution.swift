// NormalDistribution.swift: the quantile of the standard normal, in IEEE basic operations only, so that every machine gets the same bits.
// Not here: random numbers (RandomStream.swift).

/// The standard normal distribution.
enum NormalDistribution {
    /// The x below which a standard normal falls with probability `p` in (0, 1): algorithm AS 241, PPND16 (Wichura 1988), 16 digits.
    static func quantile(_ p: Double) -> Double {
        let q = p - 0.5
        if q.magnitude <= 0.425 { return q * central(0.180625 - q * q) }
        let r = (-logarithm(min(p, 1 - p))).squareRoot()
        let x = r <= 5 ? middle(r - 1.6) : tail(r - 5)
        return q < 0 ? -x : x
    }

    /// The natural logarithm of a positive normal number, to a few ulp: libm's may differ in the last bit from machine to machine.
    static func logarithm(_ x: Double) -> Double {
        // x = m 2^e with m in [1, 2), then in [0.707, 1.414).
        var exponent = Double(Int(x.bitPattern >> 52) - 1023)
        var significand = Double(bitPattern: x.bitPattern & (1 << 52 - 1) | 1023 << 52)
        if significand > 1.414_213_562_373_095_1 {
            significand *= 0.5
            exponent += 1
        }
        // log m = 2 artanh s = 2 (s + s^3 / 3 + s^5 / 5 + …) with |s| < 0.172: twelve terms reach 16 digits.
        let s = (significand - 1) / (significand + 1)
        let square = s * s
        let low = polynomial(square, 1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15)
        let high = polynomial(square, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23, 0, 0, 0, 0)
        let fourth = (square * square) * (square * square)
        let series = low + fourth * fourth * high
        return exponent * 0.693_147_180_559_945_3 + 2 * s * series
    }

    /// Horner's rule; coefficients from the lowest power.
    @inline(__always)
    private static func polynomial(
        _ x: Double, _ c0: Double, _ c1: Double, _ c2: Double, _ c3: Double, _ c4: Double, _ c5: Double, _ c6: Double,
        _ c7: Double
    ) -> Double {
        let high = ((c7 * x + c6) * x + c5) * x + c4
        return (((high * x + c3) * x + c2) * x + c1) * x + c0
    }

    // The three rational functions of the algorithm, each for its range.

    private static func central(_ r: Double) -> Double {
        polynomial(
            r, 3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
            4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3)
            / polynomial(
                r, 1, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
                2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
                5.2264952788528545610e+3)
    }

    private static func middle(_ r: Double) -> Double {
        polynomial(
            r, 1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
            1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2,
            7.74545014278341407640e-4)
            / polynomial(
                r, 1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                1.05075007164441684324e-9)
    }

    private static func tail(_ r: Double) -> Double {
        polynomial(
            r, 6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
            2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5,
            2.01033439929228813265e-7)
            / polynomial(
                r, 1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                2.04426310338993978564e-15)
    }
}
