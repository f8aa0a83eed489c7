// TestData.swift: reproducible numbers and small networks for tests.
// Not here: reference results.
import RengaNetwork

/// A reproducible source of test numbers: the same seed gives the same data everywhere.
public struct TestRandom {
    private var stream: RandomStream

    /// Starts at a seed.
    public init(_ seed: UInt64) { stream = RandomStream(seed: seed, purpose: .shuffling, stream: 0x7e57) }

    /// Uniform in [low, high).
    public mutating func float(_ low: Float = -1, _ high: Float = 1) -> Float {
        low + (high - low) * stream.uniform()
    }

    /// Uniform in [low, high), `count` times.
    public mutating func floats(_ count: Int, _ low: Float = -1, _ high: Float = 1) -> [Float] {
        (0..<count).map { _ in float(low, high) }
    }

    /// Uniform in 0 ..< bound.
    public mutating func index(_ bound: Int) -> Int { Int(stream.integer(below: UInt32(clamping: bound))) }
}

extension Network {
    /// Fills every parameter with random numbers that exercise all of them: gammas and variances around 1, the rest around 0.
    public mutating func randomiseParameters(seed: UInt64) throws {
        for (number, name) in parameterNames.enumerated() {
            guard let parameter = parameters[name] else { continue }
            var random = TestRandom(seed &+ UInt64(number) &* 0x9E37_79B9)
            let count = parameter.tensor.count
            let values: [Float] =
                switch parameter.role {
                case .gamma, .runningVariance: random.floats(count, 0.5, 1.5)
                case .weight: random.floats(count, -0.3, 0.3)
                case .bias, .beta, .runningMean, .slope: random.floats(count, -0.5, 0.5)
                }
            try setParameter(name, Tensor(dimensions: parameter.tensor.dimensions, values: values))
        }
    }
}
