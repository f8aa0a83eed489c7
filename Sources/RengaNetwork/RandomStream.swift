// RandomStream.swift: counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): one independent stream per purpose and name.
// The same seed gives the same bits on every machine: only integer and IEEE basic operations are used, no libm.
// Not here: what is drawn (initialisation, shuffles, augmentation); the kernels' twin is rk_random.h.

/// What random numbers are for. Streams of different purposes share no number, so that using one never changes another.
public enum RandomPurpose: UInt8, Sendable, CaseIterable {
    /// Initial weights.
    case initialisation = 1
    /// The order of images in an epoch.
    case shuffling = 2
    /// Crops, flips and the like.
    case augmentation = 3
    /// Gates of stochastic depth.
    case gates = 4
    /// Dropout masks.
    case dropout = 5
}

/// A stream of random numbers: a value, whose whole state is (seed, purpose, stream, position).
public struct RandomStream: Sendable, Equatable {
    /// The host's seed.
    public let seed: UInt64
    /// What the numbers are for.
    public let purpose: RandomPurpose
    /// Tells streams of one purpose apart: an epoch, an image, the hash of a layer's name.
    public let stream: UInt64
    /// Words drawn so far; may be set to go to any place of the stream. The stream repeats after 2^58 words.
    public var position: UInt64

    private var block: SIMD4<UInt32> = .zero
    private var blockIndex = UInt64.max

    /// Opens a stream at its beginning, or at `position` words.
    public init(seed: UInt64, purpose: RandomPurpose, stream: UInt64 = 0, position: UInt64 = 0) {
        self.seed = seed
        self.purpose = purpose
        self.stream = stream
        self.position = position
    }

    /// The stream of a name: its FNV-1a hash, the same on every machine.
    public static func stream(named name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    /// Equal streams give equal numbers from here on.
    public static func == (a: RandomStream, b: RandomStream) -> Bool {
        a.seed == b.seed && a.purpose == b.purpose && a.stream == b.stream && a.position == b.position
    }
}

// MARK: - Drawing

extension RandomStream {
    /// 32 random bits.
    public mutating func word() -> UInt32 {
        let index = position >> 2
        if index != blockIndex {
            let low = UInt64(purpose.rawValue) << 56 | (index & (1 << 56 - 1))
            block = Self.philox(key: seed, counterLow: low, counterHigh: stream)
            blockIndex = index
        }
        let word = block[Int(position & 3)]
        position &+= 1
        return word
    }

    /// Uniform in [0, 1), in steps of 2^-24: one word.
    public mutating func uniform() -> Float { Float(word() >> 8) * 0x1p-24 }

    /// Uniform in the open interval (0, 1), in steps of 2^-32: one word.
    public mutating func openUniform() -> Double { (Double(word()) + 0.5) * 0x1p-32 }

    /// Standard normal, by inversion: one word. Reaches 6.3 standard deviations.
    public mutating func normal() -> Double { NormalDistribution.quantile(openUniform()) }

    /// Uniform in 0 ..< bound, without bias (Lemire 2019); 0 for a bound of 0. Mostly one word.
    public mutating func integer(below bound: UInt32) -> UInt32 {
        guard bound > 0 else { return 0 }
        let threshold = (0 &- bound) % bound
        while true {
            let product = UInt64(word()) &* UInt64(bound)
            if UInt32(truncatingIfNeeded: product) >= threshold { return UInt32(truncatingIfNeeded: product >> 32) }
        }
    }

    /// A permutation of 0 ..< count, all equally likely (Fisher-Yates).
    public mutating func permutation(_ count: UInt32) -> [UInt32] {
        var order = Array(0..<count)
        var last = order.count - 1
        while last > 0 {
            order.swapAt(last, Int(integer(below: UInt32(last) + 1)))
            last -= 1
        }
        return order
    }

    /// Philox 4x32-10 of a 128-bit counter under a 64-bit key.
    public static func philox(key: UInt64, counterLow: UInt64, counterHigh: UInt64) -> SIMD4<UInt32> {
        var k0 = UInt32(truncatingIfNeeded: key)
        var k1 = UInt32(truncatingIfNeeded: key >> 32)
        var x0 = UInt32(truncatingIfNeeded: counterLow)
        var x1 = UInt32(truncatingIfNeeded: counterLow >> 32)
        var x2 = UInt32(truncatingIfNeeded: counterHigh)
        var x3 = UInt32(truncatingIfNeeded: counterHigh >> 32)
        for _ in 0..<10 {
            let p0 = 0xD251_1F53 &* UInt64(x0)
            let p1 = 0xCD9E_8D57 &* UInt64(x2)
            (x0, x1, x2, x3) = (
                UInt32(truncatingIfNeeded: p1 >> 32) ^ x1 ^ k0, UInt32(truncatingIfNeeded: p1),
                UInt32(truncatingIfNeeded: p0 >> 32) ^ x3 ^ k1, UInt32(truncatingIfNeeded: p0)
            )
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return SIMD4(x0, x1, x2, x3)
    }
}
