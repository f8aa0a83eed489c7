// Program+Bands.swift: a band as the kernels' runtime wants it, from the same steps emitted for different chunks and slots.
// Not here: which steps those are (Emitter+Bands).
import CRengaKernels
import RengaNetwork

extension BandStepDraft {
    /// A step's arguments as words.
    static func words<Args>(_ args: Args) throws(RengaError) -> [UInt64] {
        let count = (MemoryLayout<Args>.size + 7) / 8
        guard count <= Int(RK_BAND_MOST_WORDS) else {
            throw RengaError(.internalFault, "a step's arguments are too large for a band")
        }
        var words = [UInt64](repeating: 0, count: count)
        withUnsafeBytes(of: args) { raw in words.withUnsafeMutableBytes { $0.copyMemory(from: raw) } }
        return words
    }
}

extension Program {
    /// Appends a band of `chunks` chunks. `first`: its steps for chunk 0 in slot 0; `nextChunk`, `nextSlot`: the same for chunk 1 and for
    /// slot 1; `tail`: for the last chunk, where that is smaller.
    func addBand(
        _ chunks: Int, _ first: [BandStepDraft], nextChunk: [BandStepDraft], nextSlot: [BandStepDraft],
        tail: [BandStepDraft]?
    ) throws(RengaError) {
        guard nextChunk.count == first.count, nextSlot.count == first.count, tail?.count ?? first.count == first.count
        else { throw RengaError(.internalFault, "the views of a band differ") }
        var steps: [rk_band_step] = []
        for (index, draft) in first.enumerated() {
            let (chunk, slot) = (nextChunk[index].words, nextSlot[index].words)
            guard chunk.count == draft.words.count, slot.count == draft.words.count,
                tail?[index].words.count ?? chunk.count == chunk.count
            else { throw RengaError(.internalFault, "the views of a band differ") }
            var patches: [rk_patch] = []
            for (word, value) in draft.words.enumerated() where chunk[word] != value || slot[word] != value {
                patches.append(
                    rk_patch(
                        word: word, per_chunk: Int64(bitPattern: chunk[word] &- value),
                        per_slot: Int64(bitPattern: slot[word] &- value)))
            }
            var step = rk_band_step()
            step.step = rk_step(
                run: draft.run, args: UnsafeRawPointer(try keep(array: draft.words)), enabled: draft.enabled)
            if let tail { step.tail = UnsafeRawPointer(try keep(array: tail[index].words)) }
            step.words = draft.words.count
            step.patches = UnsafePointer(try keep(array: patches))
            step.patch_count = patches.count
            steps.append(step)
        }
        let args = rk_band_args(
            steps: UnsafePointer(try keep(array: steps)), count: steps.count, chunks: Int64(chunks),
            backwards: bandCount % 2 == 0 ? 0 : 1, seconds: nil)
        try addBand(args, first.map(\.info))
    }
}
