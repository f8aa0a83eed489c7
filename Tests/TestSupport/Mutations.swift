// Mutations.swift: damaged copies of a file, drawn from a seed: bytes changed, cut out, doubled, moved, ends lost.
// Not here: what a reader must make of them. (libFuzzer goes further; this runs in every test run.)
import RengaNetwork

/// Draws damaged copies of bytes; the same seed gives the same copies.
public struct Mutations {
    private var stream: RandomStream

    /// Opens the row of copies of a seed.
    public init(seed: UInt64) { stream = RandomStream(seed: seed, purpose: .gates) }

    /// A number below `bound`.
    private mutating func draw(_ bound: Int) -> Int { Int(stream.integer(below: UInt32(max(bound, 1)))) }

    /// A copy with one to four changes.
    public mutating func next(of bytes: [UInt8]) -> [UInt8] {
        var copy = bytes
        for _ in 0...draw(4) {
            guard !copy.isEmpty else { break }
            let place = draw(copy.count)
            let length = min(1 + draw(8), copy.count - place)
            switch draw(7) {
            case 0: copy[place] ^= 1 << draw(8)
            case 1: copy[place] = UInt8(draw(256))
            case 2: copy[place] = [0, 0x7F, 0x80, 0xFF, 0x22, 0x5B, 0x7B, 0x39][draw(8)]
            case 3: copy.removeSubrange(place..<place + length)
            case 4: copy.insert(contentsOf: copy[place..<place + length], at: draw(copy.count + 1))
            case 5: copy.swapAt(place, draw(copy.count))
            default: copy.removeLast(min(draw(16), copy.count))
            }
        }
        return copy
    }
}
