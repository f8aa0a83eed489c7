// Band.swift: what a plan knows about bands: parts of a program in which each thread takes a few images through many steps, while what
// they make is in its own cache. Not here: how steps come into a band (Emitter+Bands), how it runs (runtime_band.c).
import CRengaKernels
import RengaNetwork

/// Whether steps run as bands.
package enum BandChoice: Equatable, Sendable {
    /// Every step is one for the whole team.
    case never
    /// Where the images of a chunk stay in cache and weights are small beside them.
    case byRule
    /// Wherever steps treat images apart, in chunks of so many images.
    case always(images: Int)
}

/// How a buffer lies beside the batch.
enum BufferExtent: Equatable {
    /// The same for all images.
    case whole
    /// One part for each image.
    case images
    /// One part for each chunk of a band, of so many images (the last may have fewer).
    case chunks(images: Int)
}

/// The part of the batch that is being emitted: a chunk, and the memory of the thread that takes it.
struct BandView {
    let images: Int
    let chunks: Int
    var chunk = 0
    var slot = 0
    var firstImage = 0
}

/// What the measuring pass learns about a band.
struct BandRecord {
    /// The program's step that it is.
    let step: Int
    let images: Int
    let chunks: Int
    /// Each buffer's first and last step within the band.
    let touches: [Int: ClosedRange<Int>]
    /// Steps counted within the band.
    let replacements: [Replacement]
    let scratchFloats: Int
}

/// A step of a band while its addresses are being found out.
struct BandStepDraft {
    let run: StepFunction
    let words: [UInt64]
    let info: StepInfo
    let enabled: UnsafePointer<Int32>?
}

/// Steps that are being emitted for one view of a band.
final class BandEmission {
    let view: BandView
    /// True where only sizes are asked for: nothing is noted in the plan.
    let isTrial: Bool
    /// True for the views behind the first: buffers are those of the first.
    let isAgain: Bool
    /// True while it is only asked which values a step reads.
    var isProbe = false
    var step = 0
    var touches: [Int: ClosedRange<Int>] = [:]
    var replacements: [Replacement] = []
    var scratchFloats = 0
    var drafts: [BandStepDraft] = []
    /// What the steps' arguments point to, in order; `known`: what the first view kept, which the others take again.
    var kept: [UnsafeMutableRawPointer] = []
    var known: ArraySlice<UnsafeMutableRawPointer>?
    /// Values that were computed once more in this band.
    var recomputed: Set<ValueID> = []
    /// Values asked for while probing.
    var wanted: [ValueID] = []
    /// What follows the band.
    var behind: [DeferredSteps] = []

    init(_ view: BandView, isTrial: Bool = false, isAgain: Bool = false, known: [UnsafeMutableRawPointer]? = nil) {
        (self.view, self.isTrial, self.isAgain, self.known) = (view, isTrial, isAgain, known?[...])
    }

    func touch(_ index: Int) {
        guard !isProbe else { return }
        let range = touches[index] ?? step...step
        touches[index] = range.lowerBound...step
    }
}

/// What the steps being added belong to and depend on.
struct StepContext {
    /// The fused step, and what it is called.
    var group: Int?
    var name = ""
    var passage = Passage.forward
    /// The fused step whose backward pass a value is computed for once more.
    var reader: Int?
    /// The cell that they depend on; nil: they always run.
    var enabled: UnsafePointer<Int32>?
}

/// Steps to be added later, in the context in which they were asked for.
struct DeferredSteps {
    var context: StepContext
    let add: () throws(RengaError) -> Void
}

extension BandEmission {
    /// Images of a chunk, or nil where the steps that were tried should not be a band. `imageBytes`: the most bytes of an image that are
    /// alive at once; `sharedBytes`: the most that one step reads besides.
    static func images(
        _ choice: BandChoice, batch: Int, cache: Int, fewest: Int, imageBytes: Int, sharedBytes: Int
    ) -> Int? {
        var images: Int
        switch choice {
        case .never: return nil
        case .always(let wish): images = max(wish, 1)
        case .byRule:
            // A quarter of the cache is left to whatever else runs.
            let room = cache / 4 * 3 - sharedBytes
            guard imageBytes > 0, room >= imageBytes else { return nil }
            // Less than a page or so a chunk costs more to begin than to do.
            let least = (32768 + imageBytes - 1) / imageBytes
            images = max(min(room / imageBytes, batch / max(fewest, 1)), least)
            // The same number in each chunk, where that makes them not much smaller.
            let even = stride(from: images, to: images / 2, by: -1).first { batch % $0 == 0 }
            if let even { images = even }
        }
        return images < batch ? images : nil
    }
}
